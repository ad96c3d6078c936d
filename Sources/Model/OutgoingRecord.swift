/// A record to be published. For many at once, `OutgoingBatch` costs fewer allocations.
public struct OutgoingRecord: Hashable, Sendable {
    public var topic: TopicName
    /// Nil lets the partitioner decide: by the key, or at random without one.
    public var partition: Partition?
    public var key: [UInt8]?
    /// Nil is a tombstone; an empty array is a value of no bytes.
    public var value: [UInt8]?
    public var headers: [Header]
    /// Milliseconds since 1970; nil is the moment of publishing.
    public var timestamp: Int64?

    public init(
        topic: TopicName,
        partition: Partition? = nil,
        key: [UInt8]? = nil,
        value: [UInt8]?,
        headers: [Header] = [],
        timestamp: Int64? = nil
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
    }
}
