/// The committed offsets of one group. They never expire.
struct GroupOffsets: Hashable, Sendable {
    private var topics: [String: [Int32: CommittedOffset]] = [:]

    var isEmpty: Bool { topics.isEmpty }

    subscript(partition: GroupPartition) -> CommittedOffset? { topics[partition.topic]?[partition.partition] }

    /// Every partition with an offset, by topic and number.
    var all: [(partition: GroupPartition, offset: CommittedOffset)] {
        topics.sorted { $0.key < $1.key }.flatMap { topic, partitions in
            partitions.sorted { $0.key < $1.key }.map { (GroupPartition(topic: topic, partition: $0.key), $0.value) }
        }
    }

    /// The partitions of `topic` that have an offset.
    func partitions(of topic: String) -> [GroupPartition] {
        (topics[topic] ?? [:]).keys.sorted().map { GroupPartition(topic: topic, partition: $0) }
    }

    mutating func set(_ partition: GroupPartition, _ offset: CommittedOffset) {
        topics[partition.topic, default: [:]][partition.partition] = offset
    }

    /// Whether there was one to remove.
    mutating func remove(_ partition: GroupPartition) -> Bool {
        guard topics[partition.topic]?.removeValue(forKey: partition.partition) != nil else { return false }
        if topics[partition.topic]?.isEmpty == true { topics[partition.topic] = nil }
        return true
    }
}
