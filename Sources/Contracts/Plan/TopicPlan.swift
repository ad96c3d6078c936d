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
    /// What of the changes deletes records, and is done only when that is said.
    public var losses: [Notice] = []
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

        /// Whether records go that are there: a topic that keeps them for a shorter time soon deletes older ones.
        public var losesRecords: Bool {
            guard case .settings(_, let settings) = self else { return false }
            return settings.contains(where: \.isShorterRetention)
        }
    }

    public struct SettingChange: Hashable, Sendable {
        public let name: String
        /// Nil when the broker does not tell.
        public let from: String?
        public let to: String

        fileprivate var isShorterRetention: Bool {
            guard name == "retention.ms", let from = from.flatMap({ Int64($0) }), let to = Int64(to), to >= 0 else {
                return false
            }
            return from < 0 || from > to
        }
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
        guard !topic.isAssumed else { return change(topic, actual) { topic.isUnfit($0, actual.settings[$0]) } }
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
        change(topic, actual) { _ in true }
    }

    /// What differs, of the settings that are looked at. A shorter retention is a change of its own.
    private mutating func change(_ topic: WantedTopic, _ actual: ActualTopic, where isLookedAt: (String) -> Bool) {
        let differing = topic.settings.sorted { $0.key < $1.key }
            .filter { actual.settings[$0.key] != $0.value && isLookedAt($0.key) }
            .map { SettingChange(name: $0.key, from: actual.settings[$0.key], to: $0.value) }
        let harmless = differing.filter { !$0.isShorterRetention }
        if !harmless.isEmpty { changes.append(.settings(topic.name, harmless)) }
        guard let shorter = differing.first(where: \.isShorterRetention), let time = Int64(shorter.to) else { return }
        changes.append(.settings(topic.name, [shorter]))
        losses.append(
            Notice(
                topic: topic.name,
                reason: "a shorter time deletes records older than \(Duration.milliseconds(time).text)"))
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
