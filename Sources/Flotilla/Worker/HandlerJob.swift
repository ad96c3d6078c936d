package import Contracts
package import Model

/// What one handler is to work on, and how: made of its topic files, checked before it starts.
package struct HandlerJob: Sendable {
    package let handler: AnyHandler
    package let namespace: Namespace
    /// Everything that is subscribed to, by the name that the servers know.
    package private(set) var topics: [TopicName: TopicRole] = [:]
    private let largest: [TopicName: Int]
    /// For how long source topics keep their records; missing where they keep them for ever.
    package let retentions: [TopicName: Duration]

    package var name: HandlerName { handler.name }
    package var group: GroupID { namespace.group(name) }

    /// `largest`: how much the topics take that their files tell of.
    package init(
        _ handler: AnyHandler, namespace: Namespace, policies: [TopicName: ConsumerPolicy],
        largest: [TopicName: Int] = [:], retentions: [TopicName: Duration] = [:]
    ) {
        self.handler = handler
        self.namespace = namespace
        self.largest = largest
        self.retentions = retentions.filter { policies[$0.key] != nil }
        var topics: [TopicName: TopicRole] = [:]
        for (source, policy) in policies {
            let family = TopicFamily(source, handler.name)
            func add(_ plain: TopicName, _ kind: TopicRole.Kind) {
                var role = TopicRole(family: family, kind: kind, policy: policy)
                role.maxRecordBytes = maxRecordBytes(of: source) + WantedTopic.headerBytes
                topics[namespace.topic(plain)] = role
            }
            add(source, .source)
            // Strict order knows no retry topics.
            if policy.ordering == .none {
                for tier in policy.retry.tiers { add(family.retry(tier.description), .retry(tier)) }
            }
            add(family.replay, .replay)
        }
        self.topics = topics
    }

    /// How large a record may be that a topic takes.
    func maxRecordBytes(of topic: TopicName) -> Int { largest[topic] ?? 1 << 20 }
}

/// What a subscribed topic is to the handler.
package struct TopicRole: Sendable {
    /// The topic it belongs to and the topics derived from that, by their plain names.
    package let family: TopicFamily
    package let kind: Kind
    package let policy: ConsumerPolicy
    /// What its retry and dead-letter topics take: a record of the source with our headers.
    package var maxRecordBytes = (1 << 20) + WantedTopic.headerBytes

    package init(family: TopicFamily, kind: Kind, policy: ConsumerPolicy) {
        self.family = family
        self.kind = kind
        self.policy = policy
    }

    /// The plain name of the topic itself.
    package var topic: TopicName {
        switch kind {
        case .source: family.source
        case .retry(let tier): family.retry("\(tier)")
        case .replay: family.replay
        }
    }

    package enum Kind: Hashable, Sendable {
        case source
        case retry(RetryTier)
        case replay
    }
}

/// A handler of any kind.
package enum AnyHandler: Sendable {
    case events(any Handler)
    case batches(any BatchHandler)
    case stateful(any StatefulHandler)

    package init(_ handler: any HostedHandler) {
        switch handler {
        case let handler as any StatefulHandler: self = .stateful(handler)
        case let handler as any BatchHandler: self = .batches(handler)
        case let handler as any Handler: self = .events(handler)
        case _: preconditionFailure("\(handler.name) is neither a Handler nor a StatefulHandler")
        }
    }

    package var name: HandlerName {
        switch self {
        case .events(let handler): handler.name
        case .batches(let handler): handler.name
        case .stateful(let handler): handler.name
        }
    }
}
