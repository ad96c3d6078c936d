public import Model

/// A topic as its file has it: what it carries, how it is kept, and who consumes it and how.
public struct Topic: Sendable {
    public let name: TopicName
    public var about: String = ""
    public var partitions: Int = 6
    /// How many brokers keep a copy; nil is what the cluster does by default.
    public var replication: Int?
    public var retention: Retention = .time(.seconds(7 * 86_400))
    /// The largest record, as compressed batches count.
    public var maxMessageBytes: Int = 1 << 20
    /// The member of the value that becomes the key; for people, and so that a change of it is noticed.
    public var key: String?
    /// What every value has to be like; nil is anything.
    public var schema: Schema?
    /// JSON pointers to personal data.
    public var pii: [String] = []
    public var publish: Publish = .no
    public var consumers: [ConsumerPolicy] = []
    /// Where it is written; nil for one that was made by a program.
    public var source: Source?

    public init(_ name: TopicName) { self.name = name }

    public enum Retention: Hashable, Sendable {
        case time(Duration)
        case infinite
    }

    /// Whether clients of the edge may publish to it.
    public enum Publish: Hashable, Sendable, CaseIterable {
        case no
        case yes
        /// After the edge has held each event against the schema.
        case validated
    }

    public struct Source: Hashable, Sendable {
        public let file: String
        public let places: [String: FilePlace]

        /// Where a key of the file is: `partitions`, `consumers[0].retry`; the beginning when it is not there.
        public func place(_ key: String) -> FilePlace { places[key] ?? FilePlace(line: 1, column: 1) }
    }

    /// What its events carry as `dataschema`: the schema's `$id`.
    public var dataSchema: String? { schema?.id }
}

extension TopicName {
    /// Where workers tell what became of replayed records.
    public static let outcomes = TopicName("flotilla.outcomes")
}

extension HandlerName {
    /// The handler that reads every dead-letter topic. It has no claims, no retries and no dead letters of its own.
    public static let deadLetters = HandlerName("deadletters")
}
