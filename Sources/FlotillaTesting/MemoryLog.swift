package import Kafka
internal import Synchronization

/// A log within the process: topics with partitions, what groups have committed, and a journal of how it came to that.
///
/// A topic that nobody made comes to be with its first record, or its first reader.
package final class MemoryLog: Sendable {
    /// What happened, in its order.
    package enum Entry: Sendable {
        case appended(Record)
        case committed(GroupID, PartitionOffset)
    }

    fileprivate struct State {
        var sizes: [TopicName: Int] = [:]
        var records: [TopicPartition: [Record]] = [:]
        var committed: [GroupID: [TopicPartition: Offset]] = [:]
        var journal: [Entry] = []
        /// Records without a key go to the partitions of their topic in turn.
        var turn = 0
        var readers: [@Sendable () -> Void] = []
        var isAway = false
    }

    private let state = Mutex(State())
    private let partitions: Int

    package init(partitions: Int = 1) { self.partitions = max(1, partitions) }

    /// Whether nothing can be written by workers now.
    package var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    package var journal: [Entry] { state.withLock { $0.journal } }

    package func partitions(of topics: some Sequence<TopicName>) -> [TopicPartition] {
        state.withLock { state in
            topics.flatMap { topic in
                (0..<state.size(topic, or: partitions)).map { TopicPartition(topic, Partition(Int32(clamping: $0))) }
            }
        }
    }

    /// Appends a record and tells readers of it.
    @discardableResult
    package func append(_ record: OutgoingRecord, now: Int64) -> Delivery {
        let (delivery, readers) = state.withLock { state in
            let place = state.place(of: record, partitions)
            let offset = Offset(Int64(state.records[place, default: []].count))
            let kept = Record(record, at: place, offset, timestamp: record.timestamp ?? now)
            state.records[place, default: []].append(kept)
            state.journal.append(.appended(kept))
            return (Delivery(partition: place.partition, offset: offset), state.readers)
        }
        for reader in readers { reader() }
        return delivery
    }

    /// All records of a topic: partition by partition, each in its order.
    package func records(of topic: TopicName) -> [Record] {
        partitions(of: [topic]).flatMap { place in state.withLock { $0.records[place] ?? [] } }
    }

    /// Records of a partition from an offset on, nil when there are none yet.
    package func read(_ place: TopicPartition, from offset: Offset, max: Int) -> RecordBatch? {
        let records = state.withLock { $0.records[place] ?? [] }
        let start = Int(clamping: offset.rawValue)
        guard start < records.count else { return nil }
        return RecordBatch(records[start..<min(records.count, start + max)])
    }

    package func end(of place: TopicPartition) -> Offset {
        Offset(Int64(state.withLock { $0.records[place]?.count ?? 0 }))
    }

    package func commit(_ offsets: [PartitionOffset], of group: GroupID) {
        state.withLock { state in
            for offset in offsets {
                state.committed[group, default: [:]][offset.place] = offset.offset
                state.journal.append(.committed(group, offset))
            }
        }
    }

    package func committed(_ group: GroupID, _ place: TopicPartition) -> Offset {
        state.withLock { $0.committed[group]?[place] ?? 0 }
    }

    /// Has someone told of every record that comes.
    func whenAppended(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.readers.append(body) } }
}

extension MemoryLog.State {
    fileprivate mutating func size(_ topic: TopicName, or partitions: Int) -> Int {
        if let known = sizes[topic] { return known }
        sizes[topic] = partitions
        return partitions
    }

    fileprivate mutating func place(of record: OutgoingRecord, _ partitions: Int) -> TopicPartition {
        let size = size(record.topic, or: partitions)
        if let partition = record.partition { return TopicPartition(record.topic, partition) }
        if let key = record.key {
            // FNV-1a: each key always to the same partition is all that is asked for.
            let hash = key.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
            return TopicPartition(record.topic, Partition(Int32(clamping: hash % UInt64(size))))
        }
        turn += 1
        return TopicPartition(record.topic, Partition(Int32(clamping: turn % size)))
    }
}
