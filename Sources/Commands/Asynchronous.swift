internal import Platform
internal import Synchronization

extension Command {
    /// Runs what is asynchronous from the synchronous `main`, which must stay so: an asynchronous one hands the main
    /// thread to the dispatch library, which unblocks signals there.
    ///
    /// The main thread waits for a signal, and the end of `body` is one. A real one ends the command at once: `body` is
    /// to be something that may be cut off anywhere and run again.
    package static func finish(_ body: @escaping @Sendable () async throws -> ExitCode) throws -> ExitCode {
        let outcome = Outcome()
        Task {
            let result: Result<ExitCode, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.value.withLock { $0 = result }
            TerminationSignals.raise()
        }
        let signal = TerminationSignals.wait()
        return try outcome.value.withLock { $0 }?.get() ?? .signal(signal)
    }

    private final class Outcome: Sendable {
        let value = Mutex<Result<ExitCode, any Error>?>(nil)
    }
}
