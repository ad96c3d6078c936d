package import Contracts
package import Model

/// What one handler is to work on, and how: made of its topic files, checked before it starts.
package struct HandlerJob: Sendable {
    package let handler: AnyHandler
    package let namespace: Namespace
    /// Everything that is subscribed to, by the name that the servers know.
    package let topics: [TopicName: TopicRole]

    package var name: HandlerName { handler.name }

    package init(_ handler: AnyHandler, namespace: Namespace, policies: [TopicName: ConsumerPolicy]) {
        self.handler = handler
        self.namespace = namespace
        var topics: [TopicName: TopicRole] = [:]
        for (source, policy) in policies {
            let family = TopicFamily(source, handler.name)
            func add(_ plain: TopicName, _ kind: TopicRole.Kind) {
                topics[namespace.topic(plain)] = TopicRole(family: family, kind: kind, policy: policy)
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
}

/// What a subscribed topic is to the handler.
package struct TopicRole: Sendable {
    /// The topic it belongs to and the topics derived from that, by their plain names.
    package let family: TopicFamily
    package let kind: Kind
    package let policy: ConsumerPolicy
    /// What its topics take at least, of a copy with our headers.
    package var maxRecordBytes = (1 << 20) + (64 << 10)

    package init(family: TopicFamily, kind: Kind, policy: ConsumerPolicy) {
        self.family = family
        self.kind = kind
        self.policy = policy
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

    package var name: HandlerName {
        switch self {
        case .events(let handler): handler.name
        case .batches(let handler): handler.name
        }
    }
}
