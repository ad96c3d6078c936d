internal import Contracts
internal import Kafka
internal import Platform
internal import Synchronization

// Whether a partition gets anywhere.
extension PartitionRunner {
    /// That a call of the handler does not come back, though it was told long ago that its time is over; nil otherwise.
    ///
    /// Nothing else counts: whoever waits, for a retry's time, a dependency, an operator or somebody who mends a topic, is
    /// not made better by a new process. Where records stand still for any other reason, their lag says so.
    func stuck(_ settings: WorkerSettings) -> StuckPartition? {
        let (now, wall) = (core.now, core.wallNow)
        let (overdue, position) = state.withLock { state in
            (state.watches.values.compactMap(\.overdueSince).min(), state.mode == .open ? state.ledger.position : nil)
        }
        guard let position, let overdue, now - overdue >= settings.overduePatience else { return nil }
        return StuckPartition(
            topic: role.topic, partition: place.partition, offset: position,
            since: Timestamp(milliseconds: wall - (now - overdue)))
    }

    /// Waits until a record that failed is to be tried again.
    func napBeforeTry(after delay: Duration) async {
        let time = core.now + delay.milliseconds
        let token = state.withLock { state in
            state.lastToken += 1
            state.tries[state.lastToken] = time
            return state.lastToken
        }
        await nap(until: time)
        state.withLock { _ = $0.tries.removeValue(forKey: token) }
    }

    /// What is under way of the handler's; nil when nothing is.
    var work: PartitionWork? {
        let (now, deadline) = (core.now, role.policy.deadline.milliseconds)
        let (until, again) = state.withLock { ($0.watches.values.compactMap(\.until).min(), $0.tries.values.min()) }
        if let until { return .call(took: max(0, now &- (until &- deadline)), deadline: deadline) }
        return again.map { .again(after: max(0, $0 - now)) }
    }
}

/// What is under way in a partition, in milliseconds.
enum PartitionWork: Hashable, Sendable {
    /// A call of the handler: for how long by now, and how long it may take.
    case call(took: Int64, deadline: Int64)
    /// A record that failed, and is tried again after so long.
    case again(after: Int64)

    /// Whether it is over its time.
    var isOverdue: Bool { if case .call(let took, let deadline) = self { took > deadline } else { false } }
}

/// A partition that gets nowhere.
package struct StuckPartition: Hashable, Sendable, CustomStringConvertible {
    package let topic: TopicName
    package let partition: Partition
    /// The first that is not finished.
    package let offset: Offset
    package let since: Timestamp

    package var description: String {
        "\(topic) \(partition) stands at offset \(offset) since \(since): a call does not come back from its deadline"
    }
}
