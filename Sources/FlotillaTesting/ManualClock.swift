internal import Flotilla
internal import Synchronization

/// Both clocks of a worker, as a test moves them: who sleeps wakes when the time is said to have come, in the order of
/// the times.
package final class ManualClock: WorkerClock {
    private struct Sleeper {
        let due: Int64
        let token: UInt64
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now: Int64 = 0
        var lastToken: UInt64 = 0
        /// By time, and those of one time as they came.
        var sleepers: [Sleeper] = []
        /// Cancelled before they slept.
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())
    private let start: Int64

    /// `wallMilliseconds` is what a clock on the wall shows at the beginning.
    package init(wallMilliseconds: Int64 = 1_767_225_600_000) { start = wallMilliseconds }

    package var monotonicMilliseconds: Int64 { state.withLock { $0.now } }
    package var wallMilliseconds: Int64 { start + monotonicMilliseconds }

    /// When the first of those who sleep wants to be woken.
    package var nextDue: Int64? { state.withLock { $0.sleepers.first?.due } }

    /// Moves the time on, never back, and wakes whose time has come.
    package func move(to milliseconds: Int64) {
        let due = state.withLock { state in
            state.now = max(state.now, milliseconds)
            let due = Array(state.sleepers.prefix { $0.due <= state.now })
            state.sleepers.removeFirst(due.count)
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    package func sleep(until milliseconds: Int64) async {
        let token = state.withLock { state in
            state.lastToken += 1
            return state.lastToken
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.cancelled.remove(token) != nil || milliseconds <= state.now { return true }
                    let place = state.sleepers.firstIndex { $0.due > milliseconds } ?? state.sleepers.endIndex
                    state.sleepers.insert(
                        Sleeper(due: milliseconds, token: token, continuation: continuation), at: place)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            cancel(token)
        }
        state.withLock { _ = $0.cancelled.remove(token) }
    }

    private func cancel(_ token: UInt64) {
        state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let place = state.sleepers.firstIndex(where: { $0.token == token }) else {
                state.cancelled.insert(token)
                return nil
            }
            return state.sleepers.remove(at: place).continuation
        }?.resume()
    }
}
