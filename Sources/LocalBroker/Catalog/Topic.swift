/// A topic that is being served: its catalog entry, and the logs of its partitions.
final class Topic {
    var entry: TopicEntry
    private(set) var partitions: [Partition] = []

    init(_ entry: TopicEntry) { self.entry = entry }

    var name: String { entry.name }

    func add(_ partition: Partition) { partitions.append(partition) }

    /// Nil for a number that this topic has not got, whatever a client sent.
    subscript(number: Int32) -> Partition? {
        partitions.indices.contains(Int(number)) ? partitions[Int(number)] : nil
    }
}

/// One partition of a topic, and who waits for what in it.
final class Partition {
    /// Names it to the syncer; never used twice in a process.
    let id: UInt64
    let topic: String
    let number: Int32
    let log: PartitionLog
    /// Fetches that wait for the next records. A table, as thousands may wait and each leaves on its own.
    var waitingForRecords: [ObjectIdentifier: PendingFetch] = [:]
    /// The last look of a fetch at it, see `BrokerCore.collect`.
    var lastLook: UInt64 = 0
    /// Answers that wait until the record at an offset is on the disk, by offset.
    var waitingForDisk = Queue<(offset: Int64, wait: DurableWait)>()
    /// Whether it is in the list of partitions whose waiting fetches this turn will look again.
    var isMarkedForWaking = false
    /// Whether it is in the list of partitions that may have unsynced bytes.
    var isUnsynced = false

    init(id: UInt64, topic: String, number: Int32, log: PartitionLog) {
        self.id = id
        self.topic = topic
        self.number = number
        self.log = log
    }
}
