package import Contracts
package import Model

/// What `HANDLER=N` and `TOPIC=N` mean.
package enum ScaleTarget {
    package static let most = 64

    /// Reads `process=4,events.accepted=2`; nil when it is none.
    package static func parse(_ texts: some Sequence<String>) throws(StackFault) -> [String: Int] {
        var targets: [String: Int] = [:]
        for text in texts {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, let count = Int(parts[1]), (0...most).contains(count) else {
                throw StackFault("\(text.debugDescription) is not HANDLER=N or TOPIC=N, with N from 0 to \(most)")
            }
            targets[String(parts[0])] = count
        }
        return targets
    }

    /// How many workers each handler has then. A topic stands for all who read it; a handler that is named itself is meant
    /// itself.
    package static func handlers(
        of targets: [String: Int], among handlers: Set<HandlerName>, _ catalogs: [TopicCatalog]
    ) throws(StackFault) -> [String: Int] {
        var named: [String: Int] = [:]
        var byTopic: [String: Int] = [:]
        for (name, count) in targets.sorted(by: { $0.key < $1.key }) {
            guard (0...most).contains(count) else {
                throw StackFault("\(name)=\(count): there are 0 to \(most) workers for a handler here")
            }
            if handlers.contains(HandlerName(name)) {
                named[name] = count
                continue
            }
            let readers = catalogs.flatMap { $0[TopicName(name)]?.consumers.map(\.handler) ?? [] }
                .filter(handlers.contains)
            guard !readers.isEmpty else {
                throw StackFault(
                    "\(name) is no handler here and no topic that one reads: handlers are "
                        + handlers.sorted().map(\.rawValue).joined(separator: ", "))
            }
            for reader in readers { byTopic[reader.rawValue] = max(byTopic[reader.rawValue] ?? 0, count) }
        }
        return byTopic.merging(named) { $1 }
    }
}
