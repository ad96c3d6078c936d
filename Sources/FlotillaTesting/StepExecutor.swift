internal import Synchronization

/// Runs the tasks of a worker where a test waits for them: one job at a time, in the order in which they became ready,
/// or in one that dice choose and a seed repeats.
///
/// So a run is the same each time, and "nothing can happen any more unless time passes" is something that can be known:
/// no job is ready, and no call of the handler is under way. A pool of threads with a wait for "long enough" was
/// rejected: it is either slow or wrong.
package final class StepExecutor: TaskExecutor {
    private struct State {
        var ready: [UnownedJob] = []
        /// How many of `ready` have run: taken off from time to time rather than one by one.
        var ran = 0
        var dice: Dice?
        var calls = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
        var hasCrashed = false
    }

    private let state: Mutex<State>

    /// With a seed, any job that is ready may be the next, as on many threads.
    package init(seed: UInt64? = nil) { state = Mutex(State(dice: seed.map(Dice.init))) }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let waiting = state.withLock { state in
            state.ready.append(job)
            defer { state.waiting = [] }
            return state.waiting
        }
        for one in waiting { one.resume() }
    }

    /// Runs what is ready, and what becomes ready by that; so many jobs at most.
    package func runReady(atMost limit: Int = .max) {
        var left = limit
        while left > 0, let job = next() {
            left -= 1
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }

    /// Runs until nothing can happen any more without time passing. A call of the handler that waits for something
    /// outside, a server for one, is waited for.
    package func settle() async {
        while true {
            runReady()
            guard isCalled else { return }
            await something()
        }
    }

    /// Nothing runs here any more, as in a process that was killed.
    package func crash() { state.withLock { $0.hasCrashed = true } }

    /// Whether no job is ready.
    package var isIdle: Bool { state.withLock { $0.ran == $0.ready.count } }

    package var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

    // MARK: Calls of the handler

    package func called<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        state.withLock { $0.calls += 1 }
        defer { state.withLock { $0.calls -= 1 } }
        return try await body()
    }

    private var isCalled: Bool { state.withLock { $0.calls > 0 && !$0.hasCrashed } }

    private func next() -> UnownedJob? {
        state.withLock { state in
            guard !state.hasCrashed, state.ran < state.ready.count else {
                state.ready.removeAll(keepingCapacity: true)
                state.ran = 0
                return nil
            }
            if let pick = state.dice?.next(below: state.ready.count - state.ran) {
                state.ready.swapAt(state.ran, state.ran + pick)
            }
            defer { state.ran += 1 }
            return state.ready[state.ran]
        }
    }

    /// Waits until a job is ready.
    private func something() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                guard state.ready.isEmpty else { return true }
                state.waiting.append(continuation)
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}
