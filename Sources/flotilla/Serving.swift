internal import Commands
internal import Platform
internal import Synchronization

extension Command {
    /// Runs a server until SIGTERM: the first signal finishes what is under way, the second one does not.
    ///
    /// `start` returns what ends it.
    static func serve(_ start: @escaping @Sendable () async throws -> @Sendable () async -> Void) throws -> ExitCode {
        let ending = Ending()
        Task {
            do {
                let stop = try await start()
                await ending.signal()
                await stop()
            } catch { ending.note(error) }
            ending.isOver.store(true, ordering: .releasing)
            TerminationSignals.raise()
        }
        let first = TerminationSignals.wait()
        if !ending.isOver.load(ordering: .acquiring) {
            ending.raise()
            _ = TerminationSignals.wait()
            if !ending.isOver.load(ordering: .acquiring) { return .signal(first) }
        }
        if let error = ending.error { throw error }
        return .ok
    }

    /// How the main thread and the task that serves tell each other of the end.
    private final class Ending: Sendable {
        let isOver = Atomic<Bool>(false)
        private let state = Mutex(State())

        private struct State {
            var error: (any Error)?
            var hasSignal = false
            var waiter: CheckedContinuation<Void, Never>?
        }

        var error: (any Error)? { state.withLock { $0.error } }

        func note(_ error: any Error) { state.withLock { $0.error = $0.error ?? error } }

        func raise() {
            let waiter = state.withLock { state in
                state.hasSignal = true
                return state.waiter.take()
            }
            waiter?.resume()
        }

        func signal() async {
            await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    if !state.hasSignal { state.waiter = continuation }
                    return state.hasSignal
                }
                if isThere { continuation.resume() }
            }
        }
    }
}
