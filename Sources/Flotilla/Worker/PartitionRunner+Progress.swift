internal import Contracts
internal import Kafka
internal import Platform
internal import Synchronization

// Whether a partition gets anywhere.
extension PartitionRunner {
    /// Notes where it stands; to be called about once a second. While something says why it stands still, and while a
    /// call is in time, no time counts.
    func lookAtProgress(now: Int64) {
        let reasons = core.pauses(of: place)
        let waits =
            !reasons.isDisjoint(with: [.breaker, .operator, .due]) || core.waitsForMemory || !core.broken.isEmpty
        state.withLock { state in
            let isAtWork = state.publishing > 0 || state.watches.values.contains { $0.isInTime(now: now) }
            guard let head = state.ledger.headTicket, state.mode == .open, !waits, !isAtWork else {
                state.still = nil
                return
            }
            if state.still?.head != head { state.still = (head, now) }
        }
    }

    /// That it gets nowhere and will not by itself; nil while it does, or may.
    func stuck(_ settings: WorkerSettings) -> StuckPartition? {
        let (now, wall) = (core.now, core.wallNow)
        let deadline = role.policy.deadline.milliseconds
        let (overdue, still, position) = state.withLock { state in
            (
                state.watches.values.compactMap(\.overdueSince).min(),
                // Since the last look it may have got on.
                state.still.flatMap { $0.head == state.ledger.headTicket ? $0.since : nil },
                state.mode == .open ? state.ledger.position : nil
            )
        }
        guard let position else { return nil }
        func found(_ since: Int64, _ cause: StuckPartition.Cause) -> StuckPartition {
            StuckPartition(
                topic: role.topic, partition: place.partition, offset: position,
                since: Timestamp(milliseconds: wall - (now - since)), cause: cause)
        }
        if let overdue, now - overdue >= settings.overduePatience { return found(overdue, .overdue) }
        let (limit, isOver) = deadline.multipliedReportingOverflow(by: settings.stillDeadlines)
        if let still, !isOver, now - still >= max(settings.leastStill, limit) { return found(still, .still) }
        return nil
    }
}

/// A partition that gets nowhere.
package struct StuckPartition: Hashable, Sendable, CustomStringConvertible {
    package enum Cause: String, Hashable, Sendable {
        /// A call of the handler was told that its time is over, and does not come back.
        case overdue
        /// Nothing is finished, and nothing says why.
        case still
    }

    package let topic: TopicName
    package let partition: Partition
    /// The first that is not finished.
    package let offset: Offset
    package let since: Timestamp
    package let cause: Cause

    package var description: String {
        let why = cause == .overdue ? "a call does not come back from its deadline" : "nothing is finished"
        return "\(topic) \(partition) stands at offset \(offset) since \(since): \(why)"
    }
}
