/// A topic's settings, under Kafka's names. What this broker cannot do is refused here, by name, rather than accepted
/// and ignored.
struct TopicConfig: Equatable, Sendable {
    /// What was set; the rest are defaults.
    private(set) var overrides: [String: String] = [:]

    private(set) var retentionMilliseconds: Int64 = 7 * 86_400_000
    private(set) var retentionBytes: Int64 = -1
    private(set) var segmentBytes: Int64 = 64 << 20
    private(set) var segmentMilliseconds: Int64 = 7 * 86_400_000
    private(set) var maxMessageBytes: Int64 = 1_048_588

    struct Fault: Error, Equatable {
        let reason: String
    }

    /// What a client is told about a setting.
    struct Description {
        let name: String
        let value: String
        let isDefault: Bool
        let kind: Kind
        let documentation: String
    }

    /// Kafka's numbers for the types of settings.
    enum Kind: Int8 {
        case boolean = 1
        case string = 2
        case int = 3
        case long = 5
        case list = 7
    }

    init() {}

    init(_ settings: [String: String]) throws(Fault) {
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) { try set(name, to: value) }
    }

    /// Sets one setting, or with nil returns it to its default.
    mutating func set(_ name: String, to value: String?) throws(Fault) {
        guard let known = Self.known.first(where: { $0.name == name }) else {
            let names = Self.known.map(\.name).joined(separator: ", ")
            throw Fault(reason: "unknown setting \(name.debugDescription); this broker knows \(names)")
        }
        let text = value ?? known.value(of: TopicConfig())
        guard known.set(&self, text) else {
            throw Fault(reason: "\(name)=\(text.debugDescription): \(known.expected)")
        }
        overrides[name] = value
    }

    func value(of name: String) -> String? {
        Self.known.first { $0.name == name }?.value(of: self)
    }

    var descriptions: [Description] {
        Self.known.map { known in
            Description(
                name: known.name, value: known.value(of: self), isDefault: overrides[known.name] == nil,
                kind: known.kind, documentation: known.documentation)
        }
    }

    private struct Known: Sendable {
        let name: String
        let kind: Kind
        let expected: String
        let documentation: String
        let get: @Sendable (TopicConfig) -> String
        /// False when the text is not a value that can be had.
        let set: @Sendable (inout TopicConfig, String) -> Bool

        func value(of config: TopicConfig) -> String { get(config) }

        /// A number within a range.
        static func number(
            _ name: String, _ field: any WritableKeyPath<TopicConfig, Int64> & Sendable, _ range: ClosedRange<Int64>,
            kind: Kind = .long, _ documentation: String
        ) -> Known {
            Known(
                name: name, kind: kind,
                expected: "expected a whole number from \(range.lowerBound) to \(range.upperBound)",
                documentation: documentation, get: { "\($0[keyPath: field])" },
                set: { config, text in
                    guard let number = Int64(text), range.contains(number) else { return false }
                    config[keyPath: field] = number
                    return true
                })
        }

        /// A setting that can only be what this broker does anyway.
        static func fixed(_ name: String, _ kind: Kind, _ value: String, _ why: String) -> Known {
            Known(
                name: name, kind: kind, expected: "this broker can only do \(value): \(why)", documentation: why,
                get: { _ in value }, set: { _, text in text == value })
        }
    }

    private static let known: [Known] = [
        .fixed("cleanup.policy", .list, "delete", "it does not compact; use Apache Kafka for compacted topics"),
        .fixed("compression.type", .string, "producer", "batches are kept as their producer compressed them"),
        .number(
            "max.message.bytes", \.maxMessageBytes, 64...(16 << 20), kind: .int,
            "The largest record batch, as it is compressed."),
        .fixed("message.timestamp.type", .string, "CreateTime", "batches are kept as their producer stamped them"),
        .fixed("min.insync.replicas", .int, "1", "it does not replicate"),
        .number(
            "retention.bytes", \.retentionBytes, -1...Int64.max,
            "The size of a partition over which its oldest segments are deleted; -1 for no limit."),
        .number(
            "retention.ms", \.retentionMilliseconds, -1...Int64.max,
            "The age of records over which their segment is deleted; -1 for no limit."),
        .number(
            "segment.bytes", \.segmentBytes, 1_048_576...(1 << 30), kind: .int,
            "The size at which a new segment is begun; what retention deletes is whole segments."),
        .number(
            "segment.ms", \.segmentMilliseconds, 1000...Int64.max, "The age at which a new segment is begun."),
    ]
}
