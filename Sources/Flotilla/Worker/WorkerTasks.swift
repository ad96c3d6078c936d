internal import Synchronization

/// The tasks of a worker. All of them begin here: one that did not would be out of a test's sight.
package enum WorkerTasks {
    /// Where they run: nil is the process' own pool. A test names an executor that it drives itself, and with a clock
    /// that it moves itself one run is like another.
    @TaskLocal package static var executor: (any TaskExecutor)?

    @discardableResult
    static func begin<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Task<Value, Never> {
        Task(executorPreference: executor, operation: body)
    }
}

/// Something that one task waits for, whether it is cancelled or not, and that whoever comes first says.
final class Latch: Sendable {
    private let state = Mutex<(isOpen: Bool, waiting: CheckedContinuation<Void, Never>?)>((false, nil))

    func open() {
        state.withLock { state in
            state.isOpen = true
            return state.waiting.take()
        }?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting = continuation }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}
