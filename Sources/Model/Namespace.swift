/// The prefix that keeps several fleets apart on the same servers: `FLOTILLA_NAMESPACE`, empty for most.
///
/// What is read from the topic files and what handlers say are plain names; what servers see carries the prefix.
public struct Namespace: Hashable, Sendable {
    public let prefix: String

    /// `name` is lower-case letters, digits and dashes, or empty.
    public init(_ name: String = "") { prefix = name }

    public func topic(_ plain: TopicName) -> TopicName {
        prefix.isEmpty ? plain : TopicName("\(prefix).\(plain)")
    }

    /// The plain name of a topic that a server named; nil when it is another fleet's.
    public func plain(_ topic: TopicName) -> TopicName? {
        guard !prefix.isEmpty else { return topic }
        guard topic.rawValue.hasPrefix(prefix + ".") else { return nil }
        return TopicName(String(topic.rawValue.dropFirst(prefix.count + 1)))
    }

    /// The consumer group of a handler.
    public func group(_ handler: HandlerName) -> GroupID {
        GroupID(prefix.isEmpty ? "flotilla.\(handler)" : "\(prefix).flotilla.\(handler)")
    }

    /// Whose group it is; nil when it is no handler's, or another fleet's. Anybody may name a group, so what is no handler's
    /// name is none here.
    public func handler(of group: GroupID) -> HandlerName? {
        let before = self.group("").rawValue
        guard group.rawValue.hasPrefix(before) else { return nil }
        let name = group.rawValue.dropFirst(before.count)
        return HandlerName.isName(name) ? HandlerName(String(name)) : nil
    }

    /// A Redis key.
    public func key(_ rest: String) -> String { prefix.isEmpty ? "flotilla:\(rest)" : "\(prefix):flotilla:\(rest)" }

    /// A Postgres schema: a name that needs no quotes.
    public func schema(_ handler: HandlerName) -> String {
        let name = prefix.isEmpty ? handler.rawValue : "\(prefix)_\(handler)"
        return String(name.map { $0 == "-" || $0 == "." ? "_" : $0 })
    }
}
