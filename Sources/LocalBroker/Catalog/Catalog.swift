/// What the broker knows apart from records: topics and their settings, its own settings, its identity.
///
/// A value: it changes only by `apply`, with records that are written to the journal first. Replaying the journal at
/// start is the same thing, so what was acknowledged is what comes back.
struct Catalog {
    /// The name of this log, made once; clients compare it to notice that they reached another cluster.
    private(set) var clusterID: String?
    private(set) var topics: [String: TopicEntry] = [:]
    /// Producer ids below this may be in use.
    private(set) var producerIDsEnd: Int64 = 0
    private(set) var settings = BrokerSettings()
    /// Topics that were deleted and may still have a folder: what a crash left of them can go.
    private(set) var deletedTopics: [UUID128: String] = [:]
    /// Partitions of all topics together.
    private(set) var partitionCount = 0

    mutating func apply(_ record: CatalogRecord) {
        switch record {
        case .cluster(let id): clusterID = id
        case .topic(let entry):
            partitionCount += Int(entry.partitions)
            partitionCount -= Int(topics.updateValue(entry, forKey: entry.name)?.partitions ?? 0)
        case .topicDeleted(let name, let id):
            partitionCount -= Int(topics.removeValue(forKey: name)?.partitions ?? 0)
            deletedTopics[id] = name
        case .producerIDs(let end): producerIDsEnd = max(producerIDsEnd, end)
        case .settings(let settings): self.settings = settings
        }
    }

    /// Records that make an equal catalog.
    var snapshot: [CatalogRecord] {
        var records: [CatalogRecord] = [.settings(settings), .producerIDs(end: producerIDsEnd)]
        if let clusterID { records.append(.cluster(id: clusterID)) }
        records += topics.values.sorted { $0.name < $1.name }.map(CatalogRecord.topic)
        // First: what is said later of a name is of the topic that has it now.
        return deletedTopics.map { .topicDeleted(name: $0.value, id: $0.key) } + records
    }

    /// To be called when its folder is gone.
    mutating func forgetDeletedTopic(_ id: UUID128) { deletedTopics[id] = nil }

    /// Why a name cannot be a topic's, in Kafka's rules; nil when it can.
    static func fault(inTopicName name: String) -> String? {
        if name.isEmpty { return "a topic's name is empty" }
        if name.utf8.count > 249 { return "a topic's name has at most 249 characters" }
        if name == "." || name == ".." { return "a topic's name is not . or .." }
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return allowed ? nil : "a topic's name has letters, digits, '.', '_' and '-' only"
    }
}

/// A topic as the catalog keeps it.
struct TopicEntry: Equatable {
    let name: String
    /// Tells a topic from one of the same name that was deleted before.
    let id: UUID128
    var partitions: Int32
    var config: TopicConfig
}

/// The broker's own settings that a client may change.
struct BrokerSettings: Equatable {
    static let autoCreateName = "auto.create.topics.enable"
    static let partitionsName = "num.partitions"

    /// Whether a topic is made when a client that wants so names one that is not there. True, as in Apache Kafka.
    var autoCreateTopics = true
    /// Partitions of a topic that was made without a number.
    var defaultPartitions: Int32 = 1

    var descriptions: [TopicConfig.Description] {
        let defaults = BrokerSettings()
        return [
            TopicConfig.Description(
                name: Self.autoCreateName, value: "\(autoCreateTopics)",
                isDefault: autoCreateTopics == defaults.autoCreateTopics, kind: .boolean,
                documentation: "Whether a topic is made when a client that wants so names one that is not there."),
            TopicConfig.Description(
                name: Self.partitionsName, value: "\(defaultPartitions)",
                isDefault: defaultPartitions == defaults.defaultPartitions, kind: .int,
                documentation: "Partitions of a topic that is made without a number."),
        ]
    }

    /// False when there is no such setting, or it can't have this value; nil returns it to its default.
    mutating func set(_ name: String, to value: String?) -> Bool {
        switch name {
        case Self.autoCreateName:
            guard let value = Bool(value ?? "true") else { return false }
            autoCreateTopics = value
        case Self.partitionsName:
            guard let value = Int32(value ?? "1"), (1...1000).contains(value) else { return false }
            defaultPartitions = value
        default:
            return false
        }
        return true
    }
}
