internal import Platform
internal import Synchronization

/// A transaction: statements that happen together or not at all.
///
/// `later` only notes a statement; what was noted goes over with the next one that is waited for, or with the commit,
/// in one trip. What it answers is not seen, and an error of it is thrown there.
public final class PostgresTransaction: Sendable {
    private let connection: PostgresConnection
    private let loan: UInt64
    private let state = Mutex(State())

    private struct State {
        var waiting: [SQL] = ["BEGIN"]
        /// Whether the server has heard of it.
        var hasBegun = false
        var failure: PostgresFault?
        /// The last statements are on their way: what comes now would be behind the end.
        var isEnding = false
        var isOver = false
    }

    init(_ connection: PostgresConnection) {
        self.connection = connection
        loan = connection.loan
    }

    /// Has a statement run before the next one that is waited for.
    public func later(_ statement: SQL) {
        state.withLock { $0.waiting.append(statement) }
    }

    /// Runs a statement; how many rows it changed.
    @discardableResult public func execute(_ statement: SQL) async throws(PostgresFault) -> Int {
        try await ask([statement]).last?.affected ?? 0
    }

    /// Runs a statement; the rows that it gave.
    public func query(_ statement: SQL) async throws(PostgresFault) -> PostgresRows {
        guard let rows = try await ask([statement]).last else { throw PostgresFault(.unreachable, "no answer") }
        return rows
    }

    /// Runs a text of several statements, with no values.
    func run(script: String) async throws(PostgresFault) {
        _ = try await ask([])
        try await asking { () async throws(PostgresFault) in _ = try await connection.ask(.script(script), loan) }
    }

    /// Makes it happen. When this throws it did not, unless the fault `mayHaveHappened`.
    package func commit() async throws(PostgresFault) {
        _ = try await commit(after: nil)
    }

    /// Makes it happen with one last statement, in the same trip; the rows that it gave.
    @discardableResult
    package func commit(after last: SQL?) async throws(PostgresFault) -> [PostgresRow] {
        let answers: [PostgresRows]
        do throws(PostgresFault) {
            answers = try await ask((last.map { [$0] } ?? []) + ["COMMIT"], ending: true)
        } catch {
            await rollBack()
            throw error
        }
        end()
        // The server answers a commit of what has failed with a rollback, and no error.
        guard answers.last?.tag == "COMMIT" else {
            throw PostgresFault(.statement, "rolled back, because an earlier statement failed")
        }
        return last == nil ? [] : answers.dropLast().last.map { Array($0) } ?? []
    }

    /// Has nothing of it happen. Harmless when it is over.
    package func rollBack() async {
        let (isOver, hasBegun) = state.withLock { ($0.isOver, $0.hasBegun) }
        guard !isOver else { return }
        // A connection that is lost is refused here, and the server rolls back by itself.
        if hasBegun {
            // Who does not want to wait ends the connection, and the server rolls back as well.
            await withTaskCancellationHandler {
                _ = try? await connection.ask(.statements(["ROLLBACK"]), loan)
            } onCancel: {
                connection.giveUp(loan)
            }
        }
        end()
    }

    private func end() {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        if isFirst { connection.giveBack(loan) }
    }

    private func ask(
        _ statements: [SQL], ending: Bool = false
    ) async throws(PostgresFault) -> [PostgresRows] {
        try await asking(ending: ending) { () async throws(PostgresFault) -> [PostgresRows] in
            var all = state.withLock { state in
                defer {
                    state.waiting = []
                    state.hasBegun = true
                }
                return state.waiting
            }
            all += statements
            guard !all.isEmpty else { return [] }
            return try await connection.ask(.statements(all), loan)
        }
    }

    /// Asks unless something has failed before: then nothing of the transaction can happen any more.
    private func asking<Value: Sendable>(
        ending: Bool = false, _ body: () async throws(PostgresFault) -> Value
    ) async throws(PostgresFault) -> Value {
        let refusal = state.withLock { state -> PostgresFault? in
            if let failure = state.failure { return failure }
            if state.isOver || state.isEnding { return .over }
            state.isEnding = ending
            return nil
        }
        if let refusal { throw refusal }
        let (connection, loan) = (connection, loan)
        let result = await withTaskCancellationHandler {
            do throws(PostgresFault) {
                return Result<Value, PostgresFault>.success(try await body())
            } catch { return .failure(error) }
        } onCancel: {
            connection.giveUp(loan)
        }
        if case .failure(let fault) = result { state.withLock { $0.failure = fault } }
        return try result.get()
    }
}
