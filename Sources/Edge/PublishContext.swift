internal import Contracts
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// What all events of a request have in common. An object, because every step hands it on.
final class PublishContext: Sendable {
    let topic: EdgeTopic
    /// Whoever sends them.
    let caller: Caller
    /// When the edge got them: `ce_recordedtime`.
    let recorded: Timestamp
    let recordedText: String
    /// The client's own, for events that bring none: where nothing is traced it is passed on.
    let traceParent: TraceParent?
    /// Nil where nothing is traced.
    let trace: RequestTrace?
    /// The client's Idempotency-Key: events without an id get one that follows from it, so that a repeat has the same.
    let key: String?

    init(
        _ topic: EdgeTopic, caller: Caller, now: Int64, traceParent: TraceParent?, key: String?, trace: RequestTrace?
    ) {
        self.topic = topic
        self.caller = caller
        recorded = Timestamp(milliseconds: now)
        recordedText = Self.lastText.text(now)
        self.traceParent = traceParent
        self.trace = trace
        self.key = key
    }

    private static let lastText = LastTimestamp()

    var source: String { caller.source }

    /// `ce_source` of an event that names its own: below the caller's.
    func source(_ own: String) -> String {
        if own == source || own.hasPrefix(source + "/") { return own }
        return own.hasPrefix("/") ? source + own : "\(source)/\(own)"
    }

    /// Where the trace of an event stands, if it has one; `own` is what it brings itself, `number` its place in the batch.
    func place(of id: String, own: String? = nil, _ number: Int) -> TraceParent? {
        let own = own.flatMap { TraceParent($0) }
        return trace?.begin(id, to: topic.target, own: own, number) ?? own ?? traceParent
    }

    /// The id of an event that brings none.
    func newID(_ index: Int) -> String {
        guard let key else { return UUIDValue.version7(at: recorded.milliseconds).description }
        return UUIDValue.version5(in: .flotillaEvents, Array("edge\0\(caller.name)\0\(key)\0\(index)".utf8)).description
    }
}

/// The text of the millisecond that was asked for last: in a busy one it is the same for many.
private final class LastTimestamp: Sendable {
    private let last = Mutex((milliseconds: Int64.min, text: ""))

    func text(_ milliseconds: Int64) -> String {
        last.withLock { last in
            if last.milliseconds != milliseconds {
                last = (milliseconds, Timestamp(milliseconds: milliseconds).description)
            }
            return last.text
        }
    }
}

/// A topic that clients may publish to. One object for all requests, so that they copy a reference.
final class EdgeTopic: Sendable {
    let topic: Topic
    /// Its name on the broker.
    let target: TopicName
    /// The largest event that fits into its records, headers beside it.
    let eventLimit: Int
    /// Events that the log has acknowledged.
    let published = Counter()
    /// The schema that events are held against.
    let schema: Schema?

    init(_ topic: Topic, _ namespace: Namespace) {
        self.topic = topic
        target = namespace.topic(topic.name)
        eventLimit = max(1, min(Limits.event, topic.maxMessageBytes - Self.headerRoom))
        schema = topic.publish == .validated ? topic.schema : nil
    }

    func heard(_ report: DeliveryReport) { published.add(report.count - report.failureCount) }

    /// What the envelope may take of a record beside the value.
    private static let headerRoom = 16 << 10
}
