public import Model
internal import Platform

/// A difference between two versions of the topic files.
public struct ContractChange: Hashable, Sendable, CustomStringConvertible {
    /// Whether records that are in the log already, or programs that are running already, may not survive it.
    public let isBreaking: Bool
    public let topic: TopicName
    /// What changed: `partitions`, `schema /properties/value/maximum`.
    public let what: String
    public let reason: String

    public var description: String { "\(topic): \(what): \(reason)" }
}

extension TopicCatalog {
    /// What changed since an older version of the files.
    ///
    /// Breaking is what the new version's readers cannot take of the old version's records, and what takes something
    /// away: a topic, partitions, a retry topic with records in it.
    public func changes(since old: TopicCatalog) -> [ContractChange] {
        var changes: [ContractChange] = []
        for topic in old.topics where self[topic.name] == nil {
            changes.append(
                ContractChange(
                    isBreaking: true, topic: topic.name, what: "topic",
                    reason: "is gone: its records are not read any more"))
        }
        for topic in topics {
            if let before = old[topic.name] {
                changes += TopicComparison(before, topic).changes
            } else {
                changes.append(ContractChange(isBreaking: false, topic: topic.name, what: "topic", reason: "is new"))
            }
        }
        return changes
    }
}

/// Two versions of one topic.
private struct TopicComparison {
    private let topic: TopicName
    private(set) var changes: [ContractChange] = []

    init(_ old: Topic, _ new: Topic) {
        topic = new.name
        comparePartitions(old.partitions, new.partitions)
        if old.key != new.key {
            breaks(
                "key", "was \(old.key ?? "not said"), is \(new.key ?? "not said"): events of one thing lose their order"
            )
        }
        if new.maxMessageBytes < old.maxMessageBytes {
            breaks(
                "maxMessageBytes",
                "\(ByteCount.text(old.maxMessageBytes)) → \(ByteCount.text(new.maxMessageBytes)): larger records are refused"
            )
        } else if new.maxMessageBytes > old.maxMessageBytes {
            allows("maxMessageBytes", "\(ByteCount.text(old.maxMessageBytes)) → \(ByteCount.text(new.maxMessageBytes))")
        }
        compareRetention(old.retention, new.retention)
        comparePublish(old.publish, new.publish)
        compareSchemas(old.schema, new.schema)
        compareConsumers(old.consumers, new.consumers)
    }

    private mutating func breaks(_ what: String, _ reason: String) {
        changes.append(ContractChange(isBreaking: true, topic: topic, what: what, reason: reason))
    }

    private mutating func allows(_ what: String, _ reason: String) {
        changes.append(ContractChange(isBreaking: false, topic: topic, what: what, reason: reason))
    }

    private mutating func comparePartitions(_ old: Int, _ new: Int) {
        if new < old { breaks("partitions", "\(old) → \(new): partitions cannot be taken away") }
        if new > old { allows("partitions", "\(old) → \(new): a key's order breaks where it changes its partition") }
    }

    private mutating func compareRetention(_ old: Topic.Retention, _ new: Topic.Retention) {
        switch (old, new) {
        case (.infinite, .time(let time)): breaks("retention", "infinite → \(time.text): older records are deleted")
        case (.time(let time), .infinite): allows("retention", "\(time.text) → infinite")
        case (.time(let before), .time(let after)) where after < before:
            breaks("retention", "\(before.text) → \(after.text): older records are deleted")
        case (.time(let before), .time(let after)) where after > before:
            allows("retention", "\(before.text) → \(after.text)")
        case (.time, .time), (.infinite, .infinite): break
        }
    }

    private mutating func comparePublish(_ old: Topic.Publish, _ new: Topic.Publish) {
        switch (old, new) {
        case (.no, .no), (.yes, .yes), (.validated, .validated): break
        case (_, .no): breaks("publish", "clients of the edge may not publish any more")
        case (.yes, .validated): breaks("publish", "events that the schema refuses are no longer taken")
        case (_, .yes), (.no, .validated): allows("publish", "clients of the edge may publish")
        }
    }

    private mutating func compareSchemas(_ old: Schema?, _ new: Schema?) {
        switch (old, new) {
        case (nil, nil): break
        case (nil, .some): breaks("schema", "there was none: records that are in the log may be refused")
        case (.some, nil): allows("schema", "is gone: anything is taken")
        case (let old?, let new?):
            let found = SchemaComparison(old, new).changes
            for change in found {
                let what = change.pointer.isEmpty ? "schema" : "schema \(change.pointer)"
                if change.isBreaking { breaks(what, change.reason) } else { allows(what, change.reason) }
            }
            if old.id != new.id { allows("schema /$id", "\(old.id ?? "none") → \(new.id ?? "none")") }
            if let id = old.id, id == new.id, found.contains(where: \.isBreaking) {
                breaks("schema /$id", "is still \(id), though what it stands for changed: give it a new version")
            }
        }
    }

    private mutating func compareConsumers(_ old: [ConsumerPolicy], _ new: [ConsumerPolicy]) {
        for before in old {
            guard let after = new.first(where: { $0.handler == before.handler }) else {
                breaks(
                    "consumers", "\(before.handler) is gone: what waits in its retry and dead-letter topics stays there"
                )
                continue
            }
            let gone = before.retry.tiers.filter { !after.retry.tiers.contains($0) }
            if !gone.isEmpty {
                let names = gone.map(\.description).joined(separator: ", ")
                breaks("consumers \(after.handler)", "tier \(names) is gone: what waits there is not read any more")
            }
            if before.ordering != after.ordering {
                let text = "ordering \(before.ordering) → \(after.ordering)"
                if after.ordering == .none {
                    breaks("consumers \(after.handler)", text + ": retries may overtake")
                } else {
                    allows("consumers \(after.handler)", text)
                }
            }
        }
        for after in new where !old.contains(where: { $0.handler == after.handler }) {
            allows("consumers", "\(after.handler) is new")
        }
    }
}
