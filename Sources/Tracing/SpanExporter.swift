internal import Platform
internal import Synchronization
internal import Transfers

/// Sends a tracer's spans to a collector, as OTLP over HTTP, once a second, or sooner when many wait.
///
/// A collector that is away or overloaded is asked again, ever more seldom; what comes meanwhile gathers in the tracer's
/// buffer until that is full. One that refuses what it got gets it no second time.
final class SpanExporter: Sendable {
    private let tracer: Tracer
    private let transfers: Transfers
    private let plan: Tracing.Plan
    private let log: Log
    private let state = Mutex(State())

    private struct State {
        var task: Task<Void, Never>?
        var nap: Task<Void, Never>?
        /// Until when what is left may be sent; nil while the process works.
        var end: ContinuousClock.Instant?
    }

    private static let interval = Duration.seconds(1)
    private static let longestPause = Duration.seconds(30)
    /// A collector may ask for so long a pause, and for no longer one.
    private static let longestWish = 300

    init(_ tracer: Tracer, _ plan: Tracing.Plan, log: Log) throws(TransferFault) {
        self.tracer = tracer
        self.plan = plan
        self.log = log
        transfers = try Transfers(authorities: plan.authorities)
        let task = Task.detached { await self.work() }
        state.withLock { $0.task = task }
        tracer.whenFull { [weak self] in self?.wake() }
    }

    /// Sends what there is, for so long at most, and ends.
    func close(within limit: Duration) async {
        let (task, nap) = state.withLock { state in
            state.end = .now + limit
            defer { state.task = nil }
            return (state.task, state.nap)
        }
        guard let task else { return }
        nap?.cancel()
        // What is under way is given its time.
        let hurry = Task.detached {
            try? await Task.sleep(for: limit)
            if !Task.isCancelled { task.cancel() }
        }
        await task.value
        hurry.cancel()
        tracer.whenFull(nil)
        while let chunk = tracer.takeChunk() { tracer.release(chunk, lost: .unsent) }
        transfers.close()
    }

    private func wake() { state.withLock { $0.nap }?.cancel() }

    private func work() async {
        var pause = Self.interval
        var misses = 0
        while true {
            await nap(pause)
            let isLast = state.withLock { $0.end != nil }
            switch await sendAll() {
            case .done:
                if misses > 0 { log.info("traces are taken again", [("collector", plan.url)]) }
                (misses, pause) = (0, Self.interval)
            case .away(let reason, let after):
                if misses == 0 {
                    log.warning(
                        "traces are not taken: they are kept for a while, then dropped",
                        [("collector", plan.url), ("reason", reason)])
                }
                misses += 1
                // Spread, so that a fleet does not come back all at once.
                let spread = Double.random(in: 0.75...1.25)
                pause = max(after, min(Self.interval * (1 << min(misses, 6)), Self.longestPause) * spread)
            }
            if isLast || Task.isCancelled { return }
        }
    }

    /// Waits, but not beyond the end; nor when the buffer fills, unless the collector is away, which a full one would ask
    /// all the time.
    private func nap(_ duration: Duration) async {
        let nap = Task<Void, Never> { try? await Task.sleep(for: duration) }
        let isOver = state.withLock { state in
            guard state.end == nil else { return true }
            state.nap = nap
            return false
        }
        if isOver { nap.cancel() }
        await nap.value
        state.withLock { $0.nap = nil }
    }

    private enum Round {
        case done
        case away(String, after: Duration)
    }

    /// Sends until nothing is left, or until the collector is away.
    private func sendAll() async -> Round {
        while let chunk = tracer.takeChunk() {
            let left = state.withLock { $0.end }.map { $0 - .now } ?? plan.timeout
            guard left > .zero else {
                tracer.putBack(chunk)
                return .away("the process ends", after: .zero)
            }
            switch await send(chunk, within: min(left, plan.timeout)) {
            case .taken(let unwanted, let reason):
                tracer.release(chunk, unwanted: unwanted)
                guard unwanted > 0 else { continue }
                log.warning(
                    "the collector of traces leaves out some",
                    [("collector", plan.url), ("spans", unwanted), ("reason", reason)])
            case .refused(let reason):
                tracer.release(chunk, lost: .refused)
                log.warning(
                    "the collector of traces refuses them",
                    [("collector", plan.url), ("spans", chunk.count), ("reason", reason)])
            case .away(let reason, let after):
                tracer.putBack(chunk)
                return .away(reason, after: after)
            }
        }
        return .done
    }

    private enum Outcome {
        case taken(unwanted: Int, String)
        case refused(String)
        case away(String, after: Duration)
    }

    private func send(_ chunk: Tracer.Chunk, within limit: Duration) async -> Outcome {
        do throws(TransferFault) {
            let answer = try await transfers.post(
                Transfers.Post(
                    plan.url, headers: plan.headers + [("Content-Type", "application/x-protobuf"), ("Expect", "")],
                    body: tracer.request(chunk), within: limit, mayBePrivate: true))
            switch answer.status {
            case 200..<300:
                let (unwanted, reason) = PartialSuccess.read(answer.bytes)
                return .taken(unwanted: unwanted, reason)
            case 429, 502, 503, 504:
                let wish = min(max(answer.retryAfter, 0), Self.longestWish)
                return .away("HTTP \(answer.status)", after: .seconds(wish))
            case _: return .refused("HTTP \(answer.status)")
            }
        } catch {
            return .away(error.reason, after: .zero)
        }
    }
}

/// What a collector says that took a request: how many spans of it it left out, and why.
enum PartialSuccess {
    /// Reads what of the answer is there: it may be cut off, and it may be anything.
    static func read(_ answer: [UInt8]) -> (unwanted: Int, reason: String) {
        var message = ProtobufReader(answer[...])
        var (unwanted, reason) = (0, "")
        while let field = message.next() {
            guard field.number == 1, case .bytes(let content) = field.value else { continue }
            var partial = ProtobufReader(content)
            while let field = partial.next() {
                switch (field.number, field.value) {
                case (1, .number(let count)): unwanted = Int(clamping: Int64(bitPattern: count))
                case (2, .bytes(let text)): reason = String(decoding: text, as: UTF8.self)
                case _: break
                }
            }
        }
        return (max(0, unwanted), reason)
    }
}
