public import Kafka
public import Model

/// Whether a broker has what handlers need: what a worker asks at its start.
public struct Readiness: Sendable {
    /// Why the work cannot begin; empty when it can.
    public let faults: [TopicPlan.Notice]
    /// What differs from the files, and does not keep the work from beginning.
    public let drift: [TopicPlan.Notice]

    public var isReady: Bool { faults.isEmpty }

    /// What to tell who started the worker: `program` is what they know it by.
    public func advice(_ program: String) -> String {
        let list = faults.map { "  \($0)" }.joined(separator: "\n")
        return "the broker does not have the topics as they have to be:\n\(list)\nrun: \(program) topics apply"
    }

    /// A copy of a record goes to the partition that it came from, so a family's topics have as many partitions as their
    /// source has there; and what the source takes has to fit into them with our headers.
    public init(wanted: [WantedTopic], actual: [TopicName: ActualTopic], namespace: Namespace) {
        var (faults, drift): ([TopicPlan.Notice], [TopicPlan.Notice]) = ([], [])
        for topic in wanted {
            guard let there = actual[topic.name] else {
                faults.append(TopicPlan.Notice(topic: topic.name, reason: "is missing"))
                continue
            }
            if let source = topic.role.family?.source, let count = actual[namespace.topic(source)]?.partitions,
                count != there.partitions
            {
                faults.append(
                    TopicPlan.Notice(
                        topic: topic.name, reason: "has \(there.partitions) partitions, and \(source) has \(count)"))
            } else if there.partitions != topic.partitions, !topic.isAssumed {
                drift.append(
                    TopicPlan.Notice(
                        topic: topic.name, reason: "has \(there.partitions) partitions, not \(topic.partitions)"))
            }
            for (name, value) in topic.settings.sorted(by: { $0.key < $1.key }) where there.settings[name] != value {
                let notice = TopicPlan.Notice(
                    topic: topic.name, reason: "has \(name)=\(there.settings[name] ?? "(unknown)"), not \(value)")
                if topic.isUnfit(name, there.settings[name]) {
                    faults.append(notice)
                } else if !topic.isAssumed {
                    drift.append(notice)
                }
            }
        }
        self.faults = faults
        self.drift = drift
    }
}

extension TopicCatalog {
    /// Asks a broker whether these handlers can work.
    public func readiness(of handlers: Set<HandlerName>, with admin: Admin) async throws(KafkaFault) -> Readiness {
        let wanted = wanted(for: handlers)
        let (actual, _) = try await admin.actual(for: wanted)
        return Readiness(wanted: wanted, actual: actual, namespace: namespace)
    }

    /// What has to be done at a broker.
    public func plan(with admin: Admin) async throws(KafkaFault) -> TopicPlan {
        let (actual, others) = try await admin.actual(for: wanted)
        return TopicPlan(wanted: wanted, actual: actual, others: others, namespace: namespace)
    }
}
