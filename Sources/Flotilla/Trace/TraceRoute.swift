package import Contracts
package import Model

/// The topics of a catalog in the order in which events go through them, each with the retry, dead-letter and replay
/// topics of its consumers.
///
/// Whoever reads them in this order has seen all that an output may follow from before the topic that carries it, so one
/// pass is enough. Where topics feed each other in a circle there is no such order, and the first by name begins.
package struct TraceRoute: Sendable {
    package struct Stop: Sendable {
        package let topic: Topic
        /// As the broker knows them; the topic itself first.
        package let names: [WantedTopic]
    }

    package let stops: [Stop]
    package let namespace: Namespace

    package init(_ catalog: TopicCatalog) {
        namespace = catalog.namespace
        var left = catalog.topics
        var ordered: [Topic] = []
        while !left.isEmpty {
            let fed = Set(left.flatMap { topic in topic.consumers.flatMap(\.produces).filter { $0 != topic.name } })
            let place = left.firstIndex { !fed.contains($0.name) } ?? 0
            ordered.append(left.remove(at: place))
        }
        let wanted = catalog.wanted
        stops = ordered.map { topic in
            Stop(
                topic: topic,
                names: wanted.filter { one in
                    one.role.family.map { $0.source == topic.name } ?? (one.name == catalog.namespace.topic(topic.name))
                })
        }
    }
}
