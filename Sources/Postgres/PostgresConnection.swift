internal import Glibc
internal import Platform
internal import Synchronization

/// One place of the pool: a connection that comes back by itself, and the thread that owns it.
///
/// It is lent to one transaction at a time. When it breaks while it is lent, everything that is asked of it fails until
/// it is given back: the rest of a transaction must never run outside of it.
final class PostgresConnection: Sendable {
    enum Work: Sendable {
        case statements([SQL])
        case script(String)
    }

    private struct Exchange: Sendable {
        let work: Work
        let deadline: Int64
        let reply: @Sendable (Result<[PostgresRows], PostgresFault>) -> Void
    }

    private struct State {
        var asked: [Exchange] = []
        var isLent = false
        /// Which time it is lent: whoever had it before has no say any more.
        var loan: UInt64 = 0
        /// It was lent and is free again, and the pool does not know.
        var isReturned = false
        var isGivenUp = false
        var isClosed = false
    }

    private let configuration: PostgresConfiguration
    private let bell: Doorbell
    private let state = Mutex(State())
    private let thread: Mutex<OSThread?>
    /// Told when the connection can be lent, with nil, or why it cannot.
    private let onChange: @Sendable (PostgresConnection, PostgresFault?) -> Void

    init(
        _ configuration: PostgresConfiguration,
        onChange: @escaping @Sendable (PostgresConnection, PostgresFault?) -> Void
    ) throws(PostgresFault) {
        self.configuration = configuration
        self.onChange = onChange
        do throws(SystemError) {
            bell = try Doorbell()
            thread = Mutex(nil)
            let started = try OSThread(name: "postgres") { [self] in run() }
            thread.withLock { $0 = started }
        } catch { throw PostgresFault(.unreachable, "\(error)") }
    }

    func lend() {
        state.withLock { state in
            state.isLent = true
            state.loan += 1
        }
    }

    /// The number of the loan that is on.
    var loan: UInt64 { state.withLock { $0.loan } }

    /// The transaction is over, one way or another.
    func giveBack(_ loan: UInt64) {
        state.withLock { state in
            guard state.loan == loan else { return }
            state.isLent = false
            state.isReturned = true
            state.isGivenUp = false
        }
        bell.ring()
    }

    /// Ends what is under way, and the connection with it.
    func giveUp(_ loan: UInt64) {
        state.withLock { if $0.isLent, $0.loan == loan { $0.isGivenUp = true } }
        bell.ring()
    }

    /// Asks, behind what was asked before.
    func ask(_ work: Work, _ loan: UInt64) async throws(PostgresFault) -> [PostgresRows] {
        let limit =
            switch work {
            case .statements: configuration.statementTimeout
            case .script: configuration.migrationTimeout
            }
        let deadline = Time.monotonicMilliseconds + limit.patience + configuration.connectTimeout.patience
        let result = await withCheckedContinuation { continuation in
            let exchange = Exchange(work: work, deadline: deadline) { continuation.resume(returning: $0) }
            let refusal = state.withLock { state -> PostgresFault? in
                if state.isClosed { return .closedPool }
                guard state.isLent, state.loan == loan else { return .over }
                state.asked.append(exchange)
                return nil
            }
            if let refusal { exchange.reply(.failure(refusal)) } else { bell.ring() }
        }
        return try result.get()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        bell.ring()
        thread.withLock { $0.take() }?.join()
    }

    private var isClosed: Bool { state.withLock { $0.isClosed } }

    private func take() -> (asked: [Exchange], isReturned: Bool) {
        state.withLock { state in
            defer { (state.asked, state.isReturned) = ([], false) }
            return (state.asked, state.isReturned)
        }
    }

    // MARK: The thread

    private func run() {
        var pause: Int64 = 50
        var failures = 0
        while !isClosed {
            do throws(PostgresFault) {
                let native = try NativeConnection(
                    configuration, bell, hostsLast: failures, isClosed: { self.isClosed })
                let began = Time.monotonicMilliseconds
                state.withLock { $0.isReturned = false }
                onChange(self, nil)
                let fault = serve(native)
                native.finish()
                onChange(self, fault)
                refuse(fault)
                // A proxy whose server is away may take connections and hang up at once: no better than none.
                if Time.monotonicMilliseconds - began >= 1000 { pause = 50 } else { rest(&pause) }
            } catch {
                failures += 1
                onChange(self, error)
                rest(&pause)
            }
        }
        for exchange in take().asked { exchange.reply(.failure(.closedPool)) }
    }

    /// Waits before the next connection, longer each time.
    private func rest(_ pause: inout Int64) {
        sleep(until: Time.monotonicMilliseconds + pause + Int64.random(in: 0...pause))
        pause = min(pause * 2, 2000)
    }

    /// Does what is asked until the connection breaks or the pool closes; why it ended.
    private func serve(_ native: NativeConnection) -> PostgresFault {
        while !isClosed {
            let (asked, isReturned) = take()
            for (index, exchange) in asked.enumerated() {
                guard let fault = perform(exchange, native) else { continue }
                for later in asked[(index + 1)...] { later.reply(.failure(fault)) }
                return fault
            }
            if isReturned {
                do throws(PostgresFault) {
                    let deadline = Time.monotonicMilliseconds + configuration.statementTimeout.patience
                    try native.tidy(by: deadline, isGivenUp: { self.isClosed })
                } catch { return error }
                onChange(self, nil)
            }
            if !asked.isEmpty { continue }
            var files = [
                pollfd(fd: native.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
            ]
            unsafe _ = poll(&files, 2, -1)
            if files[1].revents != 0 { bell.silence() }
            if files[0].revents != 0, !native.stillHere() {
                return PostgresFault(.unreachable, "the server closed the connection")
            }
        }
        return .closedPool
    }

    /// Does one thing. A fault that the connection does not outlive is returned as well.
    private func perform(_ exchange: Exchange, _ native: NativeConnection) -> PostgresFault? {
        let isGivenUp = { self.state.withLock { $0.isGivenUp || $0.isClosed } }
        do throws(PostgresFault) {
            let losing = configuration.losing?()
            if losing == .question { throw PostgresFault(.unreachable, "lost by a test") }
            var rows: [PostgresRows] = []
            switch exchange.work {
            case .statements(let statements):
                rows = try native.run(statements, by: exchange.deadline, isGivenUp: isGivenUp)
            case .script(let text): try native.run(script: text, by: exchange.deadline, isGivenUp: isGivenUp)
            }
            if losing == .answer { throw PostgresFault(.unreachable, "lost by a test", mayHaveHappened: true) }
            exchange.reply(.success(rows))
            return native.isBroken ? PostgresFault(.unreachable, "the connection was lost") : nil
        } catch {
            exchange.reply(.failure(error))
            let isLost = native.isBroken || error.reason == "lost by a test"
            return isLost ? error : nil
        }
    }

    /// The connection is gone: refuses what is asked until whoever has it lets go.
    private func refuse(_ fault: PostgresFault) {
        while !isClosed {
            for exchange in take().asked { exchange.reply(.failure(PostgresFault(.unreachable, fault.reason))) }
            guard state.withLock({ $0.isLent }) else { return }
            sleep(until: Time.monotonicMilliseconds + 1000)
        }
    }

    private func sleep(until time: Int64) {
        let left = time - Time.monotonicMilliseconds
        guard left > 0, !isClosed else { return }
        var ring = pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0)
        unsafe _ = poll(&ring, 1, Int32(clamping: left))
        bell.silence()
    }
}

extension PostgresFault {
    static let closedPool = PostgresFault(.closed, "the pool is closed")
    static let over = PostgresFault(.statement, "the transaction is over")
}
