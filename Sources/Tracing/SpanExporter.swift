internal import Platform
internal import Synchronization
internal import Transfers

/// Sends a tracer's spans to a collector, as OTLP over HTTP, once a second.
///
/// A collector that is away or overloaded is asked again, ever more seldom; what comes meanwhile gathers in the tracer's
/// buffer until that is full. One that refuses what it got gets it no second time.
final class SpanExporter: Sendable {
    private let tracer: Tracer
    private let transfers: Transfers
    private let url: WebAddress
    private let headers: [(name: String, value: String)]
    private let log: Log
    private let task = Mutex<Task<Void, Never>?>(nil)
    private let isStopping = Mutex(false)

    private static let interval = Duration.seconds(1)
    private static let limit = Duration.seconds(10)

    init(
        _ tracer: Tracer, to url: WebAddress, headers: [(name: String, value: String)], log: Log
    ) throws(TransferFault) {
        self.tracer = tracer
        self.url = url
        self.headers = headers + [("content-type", "application/x-protobuf")]
        self.log = log
        transfers = try Transfers()
        let task = Task.detached { await self.work() }
        self.task.withLock { $0 = task }
    }

    /// Sends what there is, for so long at most, and ends.
    func close(within limit: Duration) async {
        guard let task = task.withLock({ $0 }) else { return }
        isStopping.withLock { $0 = true }
        // Ends the pause; what is under way is given its time.
        task.cancel()
        await task.value
        let last = Task.detached { await self.sendAll(within: limit) }
        await last.value
        transfers.close()
    }

    private func work() async {
        var wait = Self.interval
        var isAway = false
        while !isStopping.withLock({ $0 }) {
            guard (try? await Task.sleep(for: wait)) != nil else { return }
            wait = Self.interval
            while let chunk = tracer.takeChunk() {
                var pause = Self.interval
                sending: while true {
                    switch await send(chunk, within: Self.limit) {
                    case .taken:
                        if isAway { log.info("traces are taken again", [("collector", url)]) }
                        isAway = false
                        tracer.release(chunk, isSent: true)
                        break sending
                    case .refused(let reason):
                        log.warning("the collector of traces refuses them", [("collector", url), ("reason", reason)])
                        tracer.release(chunk, isSent: false)
                        break sending
                    case .away(let reason, let after):
                        if !isAway {
                            log.warning(
                                "traces are not taken: they are kept for a while, then dropped",
                                [("collector", url), ("reason", reason)])
                        }
                        isAway = true
                        guard (try? await Task.sleep(for: max(pause, after))) != nil else {
                            tracer.release(chunk, isSent: false)
                            return
                        }
                        pause = min(pause * 2, .seconds(30))
                    }
                }
            }
        }
    }

    private func sendAll(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while let chunk = tracer.takeChunk() {
            let left = end - ContinuousClock.now
            guard left > .zero, case .taken = await send(chunk, within: left) else {
                tracer.release(chunk, isSent: false)
                return
            }
            tracer.release(chunk, isSent: true)
        }
    }

    private enum Outcome {
        case taken
        case refused(String)
        case away(String, after: Duration)
    }

    private func send(_ chunk: Tracer.Chunk, within limit: Duration) async -> Outcome {
        do throws(TransferFault) {
            let answer = try await transfers.post(
                Transfers.Post(url, headers: headers, body: tracer.request(chunk), within: limit, mayBePrivate: true))
            switch answer.status {
            case 200..<300: return .taken
            case 429, 502, 503, 504:
                return .away("HTTP \(answer.status)", after: .seconds(min(max(answer.retryAfter, 0), 300)))
            case _: return .refused("HTTP \(answer.status)")
            }
        } catch {
            return .away(error.reason, after: .zero)
        }
    }
}
