package import Kafka
package import Model

extension Admin {
    /// Handlers that none of these is and whose groups the broker knows: of workers that were started by themselves, with
    /// topic files of their own. Each with the topics that its members read, and those of which it has committed
    /// anything.
    ///
    /// A broker remembers a group for some days after its last member has left, and for as long it is found here.
    package func unnamedHandlers(
        _ namespace: Namespace, besides named: Set<HandlerName>
    ) async throws(KafkaFault) -> [HandlerName: Set<TopicName>] {
        var found: [HandlerName: Set<TopicName>] = [:]
        for group in try await groups().keys {
            guard let handler = namespace.handler(of: group), !named.contains(handler) else { continue }
            let members = try await describe(group).members
            found[handler] = Set(members.flatMap(\.partitions).map(\.topic))
                .union(try await committed(by: group).keys.map(\.topic))
        }
        return found
    }
}
