/// The committed offsets of one group. They never expire.
struct GroupOffsets: Hashable, Sendable {
    private var topics: [String: [Int32: CommittedOffset]] = [:]
    /// What they are kept as, roughly: what is said of them, and `overhead` each.
    private(set) var byteCount = 0

    /// What a table's places and the strings' heads cost for one offset, rather more than less.
    static let overhead = 128

    var isEmpty: Bool { topics.isEmpty }

    /// The topics of which there is an offset.
    var topicNames: Dictionary<String, [Int32: CommittedOffset]>.Keys { topics.keys }

    subscript(partition: GroupPartition) -> CommittedOffset? { topics[partition.topic]?[partition.partition] }

    /// Every partition with an offset, by topic and number.
    var all: [(partition: GroupPartition, offset: CommittedOffset)] {
        topics.sorted { $0.key < $1.key }.flatMap { topic, partitions in
            partitions.sorted { $0.key < $1.key }.map { (GroupPartition(topic: topic, partition: $0.key), $0.value) }
        }
    }

    /// By how many bytes `set` would make this larger.
    func growth(setting partition: GroupPartition, to offset: CommittedOffset) -> Int {
        Self.byteCount(partition.topic, offset) - (self[partition].map { Self.byteCount(partition.topic, $0) } ?? 0)
    }

    mutating func set(_ partition: GroupPartition, _ offset: CommittedOffset) {
        byteCount += growth(setting: partition, to: offset)
        topics[partition.topic, default: [:]][partition.partition] = offset
    }

    /// Whether there was one to remove.
    mutating func remove(_ partition: GroupPartition) -> Bool {
        guard let old = topics[partition.topic]?.removeValue(forKey: partition.partition) else { return false }
        byteCount -= Self.byteCount(partition.topic, old)
        if topics[partition.topic]?.isEmpty == true { topics[partition.topic] = nil }
        return true
    }

    mutating func remove(topics gone: Set<String>) {
        for topic in topics.keys.filter(gone.contains) {
            for offset in (topics.removeValue(forKey: topic) ?? [:]).values {
                byteCount -= Self.byteCount(topic, offset)
            }
        }
    }

    private static func byteCount(_ topic: String, _ offset: CommittedOffset) -> Int {
        overhead + topic.utf8.count + offset.metadata.utf8.count
    }
}
