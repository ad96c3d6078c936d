public import Model
internal import Platform

/// What is to be done at a broker so that it has the topics that it should have.
///
/// Pure: made of what is wanted and what is there, in the order of the wanted topics. Nothing is ever deleted, and
/// partitions never become fewer, because both lose records.
public struct TopicPlan: Sendable {
    public var changes: [Change] = []
    /// What cannot be done; while there is any, nothing is.
    public var refusals: [Notice] = []
    /// What is good to know before.
    public var warnings: [Notice] = []
    /// Topics that look derived from ours and that nobody wants any more. They are left alone.
    public var leftovers: [TopicName] = []

    public var isEmpty: Bool { changes.isEmpty && refusals.isEmpty }

    public enum Change: Hashable, Sendable {
        case create(WantedTopic)
        case grow(TopicName, from: Int, to: Int)
        case settings(TopicName, [SettingChange])

        public var topic: TopicName {
            switch self {
            case .create(let wanted): wanted.name
            case .grow(let name, _, _), .settings(let name, _): name
            }
        }
    }

    public struct SettingChange: Hashable, Sendable {
        public let name: String
        /// Nil when the broker does not tell.
        public let from: String?
        public let to: String
    }

    public struct Notice: Hashable, Sendable, CustomStringConvertible {
        public let topic: TopicName
        public let reason: String

        public var description: String { "\(topic): \(reason)" }
    }

    public init(
        wanted: [WantedTopic], actual: [TopicName: ActualTopic], others: [TopicName] = [],
        namespace: Namespace = Namespace()
    ) {
        for topic in wanted {
            guard let there = actual[topic.name] else {
                changes.append(.create(topic))
                continue
            }
            compare(topic, there, source: topic.role.family.flatMap { actual[namespace.topic($0.source)] })
        }
        leftovers = others.filter { Self.isLeftover($0, wanted, namespace) }
    }

    /// `source` is the topic that this one is derived from, when it is there.
    private mutating func compare(_ topic: WantedTopic, _ actual: ActualTopic, source: ActualTopic?) {
        if actual.partitions < topic.partitions {
            changes.append(.grow(topic.name, from: actual.partitions, to: topic.partitions))
            // Copies go to the partition that their record came from, so derived topics have no order to break.
            if topic.role == .source {
                warnings.append(
                    Notice(
                        topic: topic.name,
                        reason:
                            "growing from \(actual.partitions) to \(topic.partitions) partitions breaks the order of keys: "
                            + "a key's later events may go to another partition than its earlier ones"))
            }
        } else if actual.partitions > topic.partitions, actual.partitions != source?.partitions {
            // With as many as its source has, the source's own refusal says it all.
            refusals.append(
                Notice(
                    topic: topic.name,
                    reason: "has \(actual.partitions) partitions, and partitions cannot be taken away: "
                        + "write partitions: \(actual.partitions), or make a new topic"))
        }
        if let replication = topic.replication, replication != actual.replication {
            warnings.append(
                Notice(
                    topic: topic.name,
                    reason: "has \(actual.replication) copies of each partition, not \(replication): "
                        + "move them with kafka-reassign-partitions.sh"))
        }
        let differing = topic.settings.filter { actual.settings[$0.key] != $0.value }.sorted { $0.key < $1.key }
        guard !differing.isEmpty else { return }
        changes.append(
            .settings(
                topic.name,
                differing.map { SettingChange(name: $0.key, from: actual.settings[$0.key], to: $0.value) }))
        if let warning = Self.loss(topic, actual) { warnings.append(warning) }
    }

    /// A shorter retention deletes records, and soon.
    private static func loss(_ topic: WantedTopic, _ actual: ActualTopic) -> Notice? {
        guard let wanted = topic.settings["retention.ms"].flatMap({ Int64($0) }), wanted >= 0,
            let there = actual.settings["retention.ms"].flatMap({ Int64($0) }), there < 0 || there > wanted
        else { return nil }
        return Notice(
            topic: topic.name, reason: "records older than \(Duration.milliseconds(wanted).text) will be deleted")
    }

    /// Whether a topic has the form of one derived from a topic of the files.
    private static func isLeftover(_ name: TopicName, _ wanted: [WantedTopic], _ namespace: Namespace) -> Bool {
        guard namespace.plain(name) != nil else { return false }
        return wanted.contains { source in
            guard source.role == .source, name.rawValue.hasPrefix(source.name.rawValue + ".") else { return false }
            let parts = name.rawValue.dropFirst(source.name.rawValue.count + 1).split(separator: ".")
            return parts.count == 2 && (parts[1] == "dlq" || parts[1] == "replay")
                || parts.count == 3 && parts[1] == "retry"
        }
    }
}
