internal import Platform
internal import Synchronization

/// A few connections to one database, lent to one transaction each.
///
/// Connections are made in the background and come back by themselves. While there is none, who asks is told at once,
/// so that what to do about it is decided where it is known.
///
/// Important: `close()` before the last reference goes.
public final class PostgresPool: Sendable {
    let configuration: PostgresConfiguration
    private let state = Mutex(State())

    private struct State {
        var connections: [PostgresConnection] = []
        var idle: [PostgresConnection] = []
        /// Connected, lent or not.
        var isUp: Set<ObjectIdentifier> = []
        /// Why there is none, as far as is known; nil before the first was tried.
        var trouble: PostgresFault?
        var waiting: [Waiting] = []
        var lastTicket: UInt64 = 0
        var isClosed = false
    }

    private struct Waiting {
        let ticket: UInt64
        let continuation: CheckedContinuation<Result<PostgresConnection, PostgresFault>, Never>
    }

    public init(_ configuration: PostgresConfiguration) throws(PostgresFault) {
        self.configuration = configuration
        let changed: @Sendable (PostgresConnection, PostgresFault?) -> Void = { [weak self] in self?.changed($0, $1) }
        for _ in 0..<max(1, configuration.connections) {
            do throws(PostgresFault) {
                let connection = try PostgresConnection(configuration, onChange: changed)
                state.withLock { $0.connections.append(connection) }
            } catch {
                close()
                throw error
            }
        }
    }

    public func close() {
        let (connections, waiting) = state.withLock { state in
            state.isClosed = true
            defer { (state.connections, state.idle, state.waiting) = ([], [], []) }
            return (state.connections, state.waiting)
        }
        for one in waiting { one.continuation.resume(returning: .failure(.closedPool)) }
        for connection in connections { connection.close() }
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// Throws a fault that `mayHaveHappened` when the answer to the commit was lost.
    @discardableResult public func transaction<Value>(
        _ body: (PostgresTransaction) async throws -> Value
    ) async throws -> Value {
        let transaction = try await begin()
        do {
            let value = try await body(transaction)
            try await transaction.commit()
            return value
        } catch {
            await transaction.rollBack()
            throw error
        }
    }

    /// A transaction that whoever asked has to `commit` or `rollBack`.
    package func begin() async throws(PostgresFault) -> PostgresTransaction {
        PostgresTransaction(try await lease())
    }

    /// Asks whether it is there: what is wrong, or nil.
    package func trouble(within limit: Duration) async -> String? {
        let question = Task {
            do {
                try await transaction { try await $0.execute("SELECT 1") }
                return nil as String?
            } catch is CancellationError { return "no answer within \(limit)" } catch { return "\(error)" }
        }
        let timer = Task {
            try? await Task.sleep(for: limit)
            question.cancel()
        }
        defer { timer.cancel() }
        return await question.value
    }

    // MARK: Lending

    private func lease() async throws(PostgresFault) -> PostgresConnection {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        // Nobody waits for ever: when the time is over, or the task is cancelled, the place in the queue is given up.
        let limit = Task { [configuration] in
            try? await Task.sleep(for: configuration.leaseTimeout)
            self.refuse(ticket, PostgresFault(.timedOut, "all \(configuration.connections) connections are in use"))
        }
        defer { limit.cancel() }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> Result<PostgresConnection, PostgresFault>? in
                    if state.isClosed { return .failure(.closedPool) }
                    if let connection = state.idle.popLast() {
                        connection.lend()
                        return .success(connection)
                    }
                    if state.isUp.isEmpty, let trouble = state.trouble { return .failure(trouble) }
                    state.waiting.append(Waiting(ticket: ticket, continuation: continuation))
                    return nil
                }
                if let known { continuation.resume(returning: known) }
                if Task.isCancelled { refuse(ticket, PostgresFault(.cancelled, "given up")) }
            }
        } onCancel: {
            refuse(ticket, PostgresFault(.cancelled, "given up"))
        }
        return try result.get()
    }

    private func refuse(_ ticket: UInt64, _ fault: PostgresFault) {
        let waiting = state.withLock { state -> Waiting? in
            guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.waiting.remove(at: place)
        }
        waiting?.continuation.resume(returning: .failure(fault))
    }

    /// A connection can be lent, or is gone.
    private func changed(_ connection: PostgresConnection, _ fault: PostgresFault?) {
        let told = state.withLock { state -> ([Waiting], Result<PostgresConnection, PostgresFault>) in
            state.idle.removeAll { $0 === connection }
            if let fault {
                state.isUp.remove(ObjectIdentifier(connection))
                // Ended by us: that says nothing of the server, and it is about to come back.
                guard fault.kind != .cancelled, fault.kind != .timedOut else { return ([], .failure(fault)) }
                state.trouble = fault
                guard state.isUp.isEmpty else { return ([], .failure(fault)) }
                defer { state.waiting = [] }
                return (state.waiting, .failure(fault))
            }
            guard !state.isClosed else { return ([], .failure(.closedPool)) }
            state.isUp.insert(ObjectIdentifier(connection))
            state.trouble = nil
            guard !state.waiting.isEmpty else {
                state.idle.append(connection)
                return ([], .success(connection))
            }
            connection.lend()
            return ([state.waiting.removeFirst()], .success(connection))
        }
        for waiting in told.0 { waiting.continuation.resume(returning: told.1) }
    }
}
