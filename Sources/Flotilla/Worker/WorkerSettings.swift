/// The worker's own numbers; what belongs to a handler stands in its topic file.
package struct WorkerSettings: Sendable {
    /// How much is taken from the consumer at once.
    package var fetchRecords = 5000
    package var fetchBytes = 8 << 20
    /// How much of a partition may be unfinished. Retry topics wait for their time, so they get less.
    package var window = OffsetLedger.Limits()
    package var retryWindow = OffsetLedger.Limits(records: 500, bytes: 8 << 20)
    /// How long partitions that have enough to do may keep the others waiting.
    package var roomPatience: Int64 = 200
    /// Offsets are committed so often, or after so many records.
    package var commitInterval: Int64 = 1000
    package var commitRecords = 1000
    /// How often deadlines are looked at: a call may take so much longer.
    package var lookInterval: Int64 = 50
    /// A third of the shortest lease.
    package var renewInterval: Int64 = 5000
    /// How long what is under way may take when a partition is given up. Less than the consumer waits for it.
    package var drainBudget: Duration = .seconds(20)
    /// How much longer a call of the handler may take that was told to end then.
    package var abandonPatience: Int64 = 2000
    package var leaveBudget: Duration = .seconds(5)

    /// How often partitions are asked how far behind they are, and how long all of them may take to answer.
    package var lagInterval: Int64 = 10_000
    package var lagPatience: Duration = .seconds(3)
    /// A call that has not come back so long after its deadline never will.
    package var overduePatience: Int64 = 60_000

    package init() {}

    func limits(_ kind: TopicRole.Kind) -> OffsetLedger.Limits {
        if case .retry = kind { retryWindow } else { window }
    }
}
