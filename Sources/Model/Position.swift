/// The number of a partition within its topic.
public struct Partition: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }
    public init(_ number: Int32) { self.rawValue = number }
    public init(integerLiteral number: Int32) { self.rawValue = number }

    public var description: String { "\(rawValue)" }
    public static func < (left: Partition, right: Partition) -> Bool { left.rawValue < right.rawValue }
}

/// The place of a record within its partition; the first record of a partition was at 0.
///
/// A committed offset is the one to go on from: one past the last record that is done.
public struct Offset: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByIntegerLiteral
{
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(_ number: Int64) { self.rawValue = number }
    public init(integerLiteral number: Int64) { self.rawValue = number }

    /// The offset that follows. An offset comes from a peer, so the end of the number range wraps and never traps.
    public var next: Offset { Offset(rawValue &+ 1) }

    public var description: String { "\(rawValue)" }
    public static func < (left: Offset, right: Offset) -> Bool { left.rawValue < right.rawValue }
}

/// One partition of one topic: the unit of order, of assignment and of offsets.
public struct TopicPartition: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let topic: TopicName
    public let partition: Partition

    public init(_ topic: TopicName, _ partition: Partition) {
        self.topic = topic
        self.partition = partition
    }

    public var description: String { "\(topic)/\(partition)" }

    public static func < (left: TopicPartition, right: TopicPartition) -> Bool {
        left.topic == right.topic ? left.partition < right.partition : left.topic < right.topic
    }
}
