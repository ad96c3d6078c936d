/// The topics that belong to one handler's reading of one topic, by their names.
///
/// Every name that is derived from another is derived here, with the namespace in front, so that nobody else spells one.
public struct TopicFamily: Hashable, Sendable {
    public let source: TopicName
    public let handler: HandlerName

    public init(_ source: TopicName, _ handler: HandlerName) {
        self.source = source
        self.handler = handler
    }

    /// Where a record waits for its next try; `tier` is the name of its delay, as `10s`.
    public func retry(_ tier: String) -> TopicName { TopicName("\(source).\(handler).retry.\(tier)") }
    /// Where a record ends that the handler cannot take.
    public var deadLetters: TopicName { TopicName("\(source).\(handler).dlq") }
    /// Where dead letters come back from, for this handler alone.
    public var replay: TopicName { TopicName("\(source).\(handler).replay") }

    /// Whether it is the source or one of the topics derived from it.
    public func has(_ topic: TopicName) -> Bool {
        topic == source || topic == deadLetters || topic == replay || topic.rawValue.hasPrefix(retry("").rawValue)
    }
}
