// Whoever asks this target for a client also speaks of topics, records and offsets.
@_exported public import Model

/// What went wrong at Kafka: what, where, whether the client is lost, and whether trying again can help.
public struct KafkaFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let code: Code
    /// For people; never decide by it.
    public let reason: String
    public let site: Site
    /// The client cannot go on and has to be closed: an idempotent producer that can no longer promise its order, or
    /// a consumer that was fenced.
    public let isFatal: Bool

    public init(_ code: Code, _ reason: String, at site: Site, isFatal: Bool = false) {
        self.code = code
        self.reason = reason
        self.site = site
        self.isFatal = isFatal
    }

    /// Where it happened: the operation, and what it was about.
    public struct Site: Hashable, Sendable, CustomStringConvertible {
        public let operation: String
        public let topic: TopicName?
        public let partition: Partition?

        public init(_ operation: String, topic: TopicName? = nil, partition: Partition? = nil) {
            self.operation = operation
            self.topic = topic
            self.partition = partition
        }

        public init(_ operation: String, _ place: TopicPartition) {
            self.init(operation, topic: place.topic, partition: place.partition)
        }

        public var description: String {
            guard let topic else { return operation }
            guard let partition else { return "\(operation) \(topic)" }
            return "\(operation) \(topic)/\(partition)"
        }
    }

    /// The kind of the fault, under which the codes of broker and client that mean the same are one.
    public var kind: Kind { Kind(code) }

    public var description: String {
        "\(site): \(reason) (\(code)\(isFatal ? ", fatal" : isRetriable ? ", retriable" : ""))"
    }
}

extension KafkaFault {
    /// The number of an error: Kafka's own above zero, librdkafka's below, and ours below -1000.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: Int32

        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// Settings that cannot work; the reason lists every one of them.
        public static let configuration = Code(rawValue: -1001)
        /// The client is closed, or closing.
        public static let closed = Code(rawValue: -1002)
        /// The waiting task was cancelled. What it had asked for may still happen.
        public static let cancelled = Code(rawValue: -1003)

        /// As librdkafka writes it: `_QUEUE_FULL`, `UNKNOWN_TOPIC_OR_PART`.
        public var description: String {
            switch self {
            case .configuration: "CONFIGURATION"
            case .closed: "CLOSED"
            case .cancelled: "CANCELLED"
            case _: nativeName
            }
        }
    }

    /// What a caller may want to tell apart. Kafka has more codes than reasons to act differently.
    public struct Kind: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        private init(_ name: String) { description = name }

        /// The producer's own queue has no room: publish later.
        public static let queueFull = Kind("queue full")
        /// The record, or the request it would need, is larger than the client or the topic allows.
        public static let tooLarge = Kind("too large")
        public static let unknownTopic = Kind("unknown topic")
        public static let unknownPartition = Kind("unknown partition")
        /// No answer in time. A record may or may not have been written.
        public static let timedOut = Kind("timed out")
        /// No broker could be reached.
        public static let unreachable = Kind("unreachable")
        /// Credentials or rights are missing.
        public static let denied = Kind("denied")
        /// Another member or producer took over.
        public static let fenced = Kind("fenced")
        /// The group is changing its members; the assignment of before no longer holds.
        public static let rebalancing = Kind("rebalancing")
        public static let unknownGroup = Kind("unknown group")
        /// It is there already: a topic that was to be created.
        public static let exists = Kind("exists")
        /// Given up by closing the client.
        public static let purged = Kind("purged")
        /// What was asked for makes no sense, by itself or to the broker.
        public static let invalid = Kind("invalid")
        public static let configuration = Kind("configuration")
        public static let closed = Kind("closed")
        public static let cancelled = Kind("cancelled")
        /// Anything else; `code` says what.
        public static let other = Kind("other")

        init(_ code: Code) {
            self =
                switch code {
                case .configuration: .configuration
                case .closed: .closed
                case .cancelled: .cancelled
                case _: code.nativeKind
                }
        }
    }
}
