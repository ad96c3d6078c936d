public import Kafka
public import Model

/// A topic as a broker has it.
public struct ActualTopic: Hashable, Sendable {
    public var partitions: Int
    public var replication: Int
    /// What holds for it, set for it or not.
    public var settings: [String: String]

    public init(partitions: Int, replication: Int, settings: [String: String]) {
        self.partitions = partitions
        self.replication = replication
        self.settings = settings
    }
}

extension Admin {
    /// The topics of a cluster that are wanted, with their settings, and the names of all others.
    public func actual(for wanted: [WantedTopic]) async throws(KafkaFault) -> (
        topics: [TopicName: ActualTopic], others: [TopicName]
    ) {
        let names = Set(wanted.map(\.name))
        let all = try await topics()
        var actual: [TopicName: ActualTopic] = [:]
        for (name, description) in all where names.contains(name) {
            let settings = try await settings(of: name)
            actual[name] = ActualTopic(
                partitions: description.partitions.count,
                replication: description.partitions.map(\.replicas.count).min() ?? 0,
                settings: settings.compactMapValues(\.value))
        }
        return (actual, all.keys.filter { !names.contains($0) }.sorted())
    }
}
