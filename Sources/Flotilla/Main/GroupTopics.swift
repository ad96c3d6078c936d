internal import Contracts
internal import Kafka
internal import Model
internal import Platform

/// What the group of a handler reads.
struct GroupTopics: Sendable {
    let name: HandlerName
    let group: GroupID
    let places: [TopicPartition]
    /// After how long the records of a retry topic may be tried.
    let delays: [TopicName: Duration]
    /// Whether topic files say so. Else it is what the group has read so far.
    let isNamed: Bool

    /// As topic files say.
    init(_ name: HandlerName, _ catalog: TopicCatalog) {
        self.name = name
        group = catalog.namespace.group(name)
        var places: [TopicPartition] = []
        var delays: [TopicName: Duration] = [:]
        for subscription in catalog.subscriptions(of: name) {
            let topic = catalog.namespace.topic(subscription.topic.name)
            places += (0..<Int32(subscription.topic.partitions)).map { TopicPartition(topic, Partition($0)) }
            let family = TopicFamily(subscription.topic.name, name)
            for tier in subscription.policy.retry.tiers {
                delays[catalog.namespace.topic(family.retry("\(tier)"))] = tier.delay
            }
        }
        (self.places, self.delays, isNamed) = (places, delays, true)
    }

    /// As the broker knows of a handler that no topic file names.
    init(_ handler: HandlerName, _ namespace: Namespace, _ topics: some Collection<TopicDescription>) {
        name = handler
        group = namespace.group(handler)
        places = topics.flatMap { topic in topic.partitions.map { TopicPartition(topic.name, $0.partition) } }
        delays = topics.reduce(into: [:]) { delays, topic in
            let name = topic.name.rawValue
            guard let tier = name.split(separator: ".").last.map(String.init),
                name.hasSuffix(TopicFamily("", handler).retry(tier).rawValue)
            else { return }
            delays[topic.name] = Duration(text: tier)
        }
        isNamed = false
    }
}
