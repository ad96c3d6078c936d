package import Kafka
package import Model

extension Admin {
    /// Handlers that none of these is and whose groups the broker knows: of workers that were started by themselves, with
    /// topic files of their own. Each with the topics that its members read, and those of which it has committed
    /// anything.
    ///
    /// A broker remembers a group for some days after its last member has left, and for as long it is found here. Of so many
    /// that each costs the broker questions, the first by name are.
    package func unnamedHandlers(
        _ namespace: Namespace, besides named: Set<HandlerName>
    ) async throws(KafkaFault) -> [HandlerName: Set<TopicName>] {
        var found: [HandlerName: Set<TopicName>] = [:]
        let others = try await groups().keys.compactMap { group in namespace.handler(of: group).map { ($0, group) } }
        for (handler, group) in others.filter({ !named.contains($0.0) }).sorted(by: { $0.0 < $1.0 }).prefix(20) {
            let members = try await describe(group).members
            found[handler] = Set(members.flatMap(\.partitions).map(\.topic))
                .union(try await committed(by: group).keys.map(\.topic))
        }
        return found
    }
}
