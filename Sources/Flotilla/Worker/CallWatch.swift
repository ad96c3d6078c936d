internal import Synchronization

/// Ends a call of the handler that takes too long, for next to nothing a call.
///
/// One task makes many calls in a row. A task or a timer each would cost more than most handlers do, so the calls only
/// note when they have to be over, and whoever looks every few milliseconds cancels the whole task. Which call was
/// meant is settled by exchanging the note: either the look finds the deadline of a call and marks it, or the call
/// takes its deadline back unmarked.
final class CallWatch: Sendable {
    private let deadline = Atomic<Int64>(idle)
    private let task = Mutex<(cancel: (@Sendable () -> Void)?, isCancelled: Bool)>((nil, false))

    /// When the call under way was told that its time is over.
    private let told = Atomic<Int64>(0)

    private static let idle = Int64.max
    private static let marked = Int64.min

    /// A call begins.
    func arm(until milliseconds: Int64) {
        deadline.store(milliseconds, ordering: .releasing)
    }

    /// The call is over. True when it took too long; its task is cancelled then, and no call may follow in it.
    func disarm() -> Bool {
        deadline.exchange(Self.idle, ordering: .acquiringAndReleasing) == Self.marked
    }

    /// Marks and cancels the call under way when its time is over.
    func look(now: Int64) {
        let until = deadline.load(ordering: .acquiring)
        guard until != Self.marked, until <= now else { return }
        // Before the mark: whoever sees that sees since when.
        told.store(now, ordering: .relaxed)
        // Two calls with one deadline cannot be told apart, and need not be: it is over for both.
        let (hit, _) = deadline.compareExchange(
            expected: until, desired: Self.marked, ordering: .acquiringAndReleasing)
        guard hit else { return }
        task.withLock { $0.cancel }?()
    }

    /// Since when the call under way has been told that its time is over, and has not come back.
    var overdueSince: Int64? {
        deadline.load(ordering: .acquiring) == Self.marked ? told.load(ordering: .relaxed) : nil
    }

    /// When the time of the call under way is over, or was; nil without one.
    var until: Int64? {
        let until = deadline.load(ordering: .acquiring)
        return until == Self.marked ? told.load(ordering: .relaxed) : until == Self.idle ? nil : until
    }

    /// The task that makes the calls from now on.
    func watch(_ next: Task<some Sendable, Never>) {
        let isCancelled = task.withLock { state in
            state.cancel = { next.cancel() }
            return state.isCancelled
        }
        // The look may have come before the task was known here.
        if isCancelled || deadline.load(ordering: .acquiring) == Self.marked { next.cancel() }
    }

    /// That task is over.
    func unwatch() { task.withLock { $0.cancel = nil } }

    /// Nothing of this is wanted any more: cancels what runs, and what would run.
    func cancel() {
        task.withLock { state in
            state.isCancelled = true
            return state.cancel
        }?()
    }
}
