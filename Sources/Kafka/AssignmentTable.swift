/// What a consumer reads, what of it is paused, and what waits to be given up. Decides, and touches nothing.
///
/// The table exists because librdkafka must not be asked twice: resuming a partition that is not paused rewinds it,
/// and a pause outlives the assignment it was made in.
struct AssignmentTable {
    private(set) var assigned: Set<TopicPartition> = []
    private(set) var paused: Set<TopicPartition> = []
    private(set) var pending: Pending?

    /// Partitions whose revocation was told and not yet answered.
    struct Pending: Equatable {
        let number: Int
        let partitions: [TopicPartition]
        /// When they are given up even so.
        let deadline: Int64
    }

    private var revocations = 0

    mutating func assign(_ partitions: [TopicPartition]) { assigned.formUnion(partitions) }

    /// Begins a revocation and returns its number.
    mutating func revoke(_ partitions: [TopicPartition], deadline: Int64) -> Int {
        revocations += 1
        pending = Pending(number: revocations, partitions: partitions, deadline: deadline)
        return revocations
    }

    /// The answer to a revocation, nil when it is not the one that waits: a late answer must not end the next one.
    mutating func answered(_ number: Int) -> Pending? {
        guard pending?.number == number else { return nil }
        return pending.take()
    }

    /// The revocation whose time is over.
    mutating func expired(now: Int64) -> Pending? {
        guard let pending, now >= pending.deadline else { return nil }
        return self.pending.take()
    }

    /// The revocation that waits, whatever it waits for: the client closes.
    mutating func abandoned() -> Pending? { pending.take() }

    /// Forgets partitions and returns those of them that are paused, to be resumed before they go.
    mutating func remove(_ partitions: [TopicPartition]) -> [TopicPartition] {
        assigned.subtract(partitions)
        let left = partitions.filter(paused.contains)
        paused.subtract(left)
        return left
    }

    /// Those of the partitions that are to be paused: assigned, and not paused.
    mutating func pause(_ partitions: [TopicPartition]) -> [TopicPartition] {
        let fresh = partitions.filter { assigned.contains($0) && !paused.contains($0) }
        paused.formUnion(fresh)
        return fresh
    }

    /// Those of the partitions that are to be resumed: only what this table paused.
    mutating func resume(_ partitions: [TopicPartition]) -> [TopicPartition] {
        let stopped = partitions.filter(paused.contains)
        paused.subtract(stopped)
        return stopped
    }
}
