public import Model

/// A topic as it should be on the broker: one of the files' own, or one derived for a consumer.
public struct WantedTopic: Hashable, Sendable {
    /// As the broker knows it, with the namespace.
    public let name: TopicName
    public let role: Role
    public let partitions: Int
    public let replication: Int?
    public let settings: [String: String]
    /// No file says how it is kept: it is made where it is missing, and left as it is where it is there.
    public let isAssumed: Bool

    public enum Role: Hashable, Sendable {
        case source
        /// Where records of a family wait for so long.
        case retry(TopicFamily, RetryTier)
        case deadLetters(TopicFamily)
        case replay(TopicFamily)

        public var family: TopicFamily? {
            switch self {
            case .source: nil
            case .retry(let family, _), .deadLetters(let family), .replay(let family): family
            }
        }
    }

    /// What our headers may add to a record on its way to a retry or dead-letter topic.
    package static let headerBytes = 65_536

    /// The largest record that any of our topics may take; brokers stop there too.
    package static let largestBytes = 16 << 20

    init(_ topic: Topic, _ namespace: Namespace, isAssumed: Bool = false) {
        name = namespace.topic(topic.name)
        role = .source
        self.isAssumed = isAssumed
        (partitions, replication) = (topic.partitions, topic.replication)
        settings = Self.settings(topic, topic.retention, topic.maxMessageBytes)
    }

    init(_ topic: Topic, _ role: Role, _ plain: TopicName, days: Int, _ namespace: Namespace) {
        name = namespace.topic(plain)
        self.role = role
        isAssumed = false
        (partitions, replication) = (topic.partitions, topic.replication)
        let retention = Topic.Retention.time(.seconds(days * 86_400))
        settings = Self.settings(topic, retention, topic.maxMessageBytes + Self.headerBytes)
    }

    /// Whether work cannot go on with another value: a compacted topic loses events, broker time forgets when a copy was
    /// made, and what is too large for a dead-letter topic stops its partition.
    func isUnfit(_ setting: String, _ actual: String?) -> Bool {
        guard let wanted = settings[setting], actual != wanted else { return false }
        return switch setting {
        case "cleanup.policy", "message.timestamp.type": true
        case "max.message.bytes": !isAssumed && (actual.flatMap { Int($0) } ?? 0) < (Int(wanted) ?? 0)
        case _: false
        }
    }

    /// Times are the producer's everywhere: a copy's age counts from its making.
    private static func settings(_ topic: Topic, _ retention: Topic.Retention, _ bytes: Int) -> [String: String] {
        var settings = [
            "cleanup.policy": "delete", "message.timestamp.type": "CreateTime", "max.message.bytes": "\(bytes)",
        ]
        switch retention {
        case .infinite: settings["retention.ms"] = "-1"
        case .time(let time): settings["retention.ms"] = "\(time.components.seconds * 1000)"
        }
        // With three copies, losing one broker loses neither records nor the ability to write.
        if let copies = topic.replication, copies >= 3 { settings["min.insync.replicas"] = "2" }
        return settings
    }
}

extension Topic {
    /// The topics that a consumer of this one needs beside it; none for the reader of dead letters.
    func derived(for policy: ConsumerPolicy, _ namespace: Namespace) -> [WantedTopic] {
        guard policy.handler != .deadLetters else { return [] }
        let family = TopicFamily(name, policy.handler)
        return policy.retry.tiers.map { tier in
            WantedTopic(self, .retry(family, tier), family.retry(tier.description), days: 7, namespace)
        } + [
            WantedTopic(self, .deadLetters(family), family.deadLetters, days: 30, namespace),
            WantedTopic(self, .replay(family), family.replay, days: 7, namespace),
        ]
    }
}
