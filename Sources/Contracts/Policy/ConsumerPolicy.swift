public import Model

/// How one handler consumes one topic: an entry of `consumers` in the topic's file.
public struct ConsumerPolicy: Hashable, Sendable {
    public var handler: HandlerName
    public var ordering: Ordering = .none
    /// How many events of one partition the handler may have at once, each of another key. Only with `ordering: none`.
    public var concurrency: Int = 1
    /// How long one call of the handler may take.
    public var deadline: Duration = .seconds(30)
    public var retry = Retry()
    public var once = Once()
    public var breaker = Breaker()
    /// The topics that the handler may publish to.
    public var produces: [TopicName] = []
    /// What only this handler understands, by name; it says itself what there may be.
    public var settings: [String: String] = [:]

    public init(handler: HandlerName) { self.handler = handler }

    public enum Ordering: String, Hashable, Sendable, CaseIterable {
        /// First attempts of a key start in order; retries may overtake.
        case none
        /// Strict, with no retry topics: a record that fails holds its partition.
        case partition
    }

    public struct Retry: Hashable, Sendable {
        /// Calls of the handler before the record goes to a retry topic, the first one counted.
        public var inProcess: Int = 3
        /// The delays of the retry topics, in their order. Empty with `ordering: partition`.
        public var tiers: [RetryTier] = [.seconds(10), .minutes(1), .minutes(10)]

        public init() {}
    }

    public struct Once: Hashable, Sendable {
        /// How long a finished event is remembered; nil is no memory at all (`once: false`).
        public var ttl: Duration? = .seconds(20 * 60)
        public var onStoreDown: OnStoreDown = .pause

        public init() {}

        public enum OnStoreDown: String, Hashable, Sendable, CaseIterable { case pause, proceed }
    }

    public struct Breaker: Hashable, Sendable {
        /// So many failures of one dependency in a row, or half of at least twice as many calls, within the window.
        public var failures: Int = 10
        public var window: Duration = .seconds(20)
        /// The first pause before a probe; it doubles up to twelve times itself.
        public var cooldown: Duration = .seconds(5)

        public init() {}
    }
}

/// The delay of a retry topic, with the name that the topic carries: `10s`, `1m`, `10m`.
public struct RetryTier: Hashable, Sendable, CustomStringConvertible {
    public let seconds: Int

    public init(seconds: Int) { self.seconds = seconds }
    public static func seconds(_ count: Int) -> RetryTier { RetryTier(seconds: count) }
    public static func minutes(_ count: Int) -> RetryTier { RetryTier(seconds: count * 60) }

    public var delay: Duration { .seconds(seconds) }

    /// In the largest unit that needs no fraction.
    public var description: String {
        if seconds % 86_400 == 0 { return "\(seconds / 86_400)d" }
        if seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }
}
