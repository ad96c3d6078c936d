package import Contracts
package import Model
internal import Postgres

extension DeadLetterIndex {
    /// Where those that fit would go to and who else reads that, a sentence each. Throws when a target is not there.
    /// `topics`: all of the broker's, nil when nobody could be asked. `catalog`: nil when there are no topic files.
    package func targets(
        of filter: DeadLetterFilter, _ namespace: Namespace, _ catalog: TopicCatalog?, topics: Set<TopicName>?,
        toSource isToSource: Bool
    ) async throws -> [String] {
        var lines: [String] = []
        for (topic, handler) in try await families(filter) {
            let family = TopicFamily(TopicName(topic), HandlerName(handler))
            let target = isToSource ? family.source : family.replay
            if let topics, !topics.contains(namespace.topic(target)) {
                throw Refused("there is no topic \(target) to replay to: flotilla topics apply makes it")
            }
            guard isToSource else {
                lines.append("to \(target), for \(handler) alone")
                continue
            }
            guard let catalog else {
                lines.append(
                    "to \(target); who reads it besides \(handler) is not known: there are no topic files here")
                continue
            }
            let others = catalog[family.source]?.consumers.map(\.handler.rawValue).filter { $0 != handler } ?? []
            lines.append(
                "to \(target), for \(handler)"
                    + (others.isEmpty
                        ? " and nobody else" : ", and again for \(others.sorted().joined(separator: ", "))"))
        }
        return lines
    }
}
