internal import Contracts
internal import Model
internal import Tracing

/// What a handler's spans have in common, and how its calls get theirs.
///
/// A record's `traceparent` is where its event's trace stands: what was published it in, or whoever sent it. Handling it
/// is a `process` span below that, and each output gets a `send` (or `create`) span below the `process` span, whose place
/// it carries as its own `traceparent`. Copies for retry topics, dead letters and replays keep the record's own, so all
/// attempts stand side by side in one trace.
///
/// A call for many events has a span by itself, in a trace by itself: it links to what its events came from. Each of them
/// that is kept has its `process` span all the same, in its own trace, which links to that of the call; so a trace never
/// ends at a handler that takes many events at once.
///
/// Of events that nobody keeps no span is made, no clock is read and nothing allocated: their outputs carry the
/// `traceparent` of their cause as it came. Where tracing is off there is no `HandlerTracer`.
final class HandlerTracer: Sendable {
    let tracer: Tracer
    private let handler: HandlerName
    private let group: GroupID

    init(_ tracer: Tracer, _ handler: HandlerName, _ group: GroupID) {
        self.tracer = tracer
        self.handler = handler
        self.group = group
    }

    /// The trace of a call for one event; nil where nothing of it is kept and the event's own `traceparent` says so.
    func begin(_ job: EventJob) -> CallTrace? {
        let event = job.event
        if tracer.isParentBased, event.isSurelyUnsampled { return nil }
        guard let span = process(event, attempts: job.attempts, job.state) else { return nil }
        return CallTrace(self, calls: [(event.offset, span)], batch: nil)
    }

    /// The same for a call for many events of one partition.
    func begin(_ jobs: some Collection<EventJob>) -> CallTrace? {
        var calls: [(offset: Offset, span: Span)] = []
        for job in jobs where !(tracer.isParentBased && job.event.isSurelyUnsampled) {
            if let span = process(job.event, attempts: job.attempts, job.state) {
                calls.append((job.event.offset, span))
            }
        }
        guard let event = jobs.first?.event, !calls.isEmpty else { return nil }
        guard jobs.count > 1, calls.contains(where: { $0.span.isRecording }) else {
            return CallTrace(self, calls: calls, batch: nil)
        }
        var batch = tracer.begin(
            "process \(event.topic)", .consumer, linkedTo: calls.lazy.filter(\.span.isRecording).map(\.span.origin))
        describe(&batch, event)
        batch.set("messaging.batch.message_count", .integer(Int64(jobs.count)))
        for place in calls.indices { calls[place].span.link(batch.place) }
        return CallTrace(self, calls: calls, batch: batch)
    }

    /// The trace of a call that no event is behind: each output begins one of its own.
    func beginTick() -> CallTrace { CallTrace(self, calls: [], batch: nil) }

    /// Nil when nothing is to be said of it: it is not kept, and its `traceparent` says so to those after it.
    private func process(_ event: Event, attempts: Int, _ state: RetryState?) -> Span? {
        let parent = event.trace
        if let parent, !tracer.keeps(below: parent), !parent.isSampled { return nil }
        var span = tracer.begin("process \(event.topic)", .consumer, below: parent)
        guard span.isRecording else { return span }
        describe(&span, event)
        span.add("messaging.message.id", .text(event.id))
        span.add("messaging.kafka.offset", .integer(event.offset.rawValue))
        span.add("messaging.message.body.size", .integer(Int64(event.bytes.byteCount)))
        span.add("cloudevents.event_source", .text(event.source))
        span.add("cloudevents.event_type", .text(event.type))
        span.add("flotilla.attempt", .integer(Int64(attempts + 1)))
        guard let state else { return span }
        span.add("flotilla.source.topic", .text(state.source.topic.rawValue))
        span.add("flotilla.source.offset", .integer(state.source.offset.rawValue))
        if state.replays > 0 { span.add("flotilla.replays", .integer(Int64(state.replays))) }
        if let job = state.replayJob { span.add("flotilla.replay.job", .text(job)) }
        return span
    }

    private func describe(_ span: inout Span, _ event: Event) {
        span.add("messaging.system", "kafka")
        span.add("messaging.operation.name", "process")
        span.add("messaging.operation.type", "process")
        span.add("messaging.destination.name", .text(event.topic.rawValue))
        span.add("messaging.destination.partition.id", .text("\(event.partition)"))
        span.add("messaging.consumer.group.name", .text(group.rawValue))
        span.add("flotilla.handler", .text(handler.rawValue))
    }

    /// A span of something that is published.
    func publishing(_ verb: StaticString, _ topic: TopicName, below parent: TraceParent?) -> Span {
        var span = tracer.begin("\(verb) \(topic)", .producer, below: parent)
        guard span.isRecording else { return span }
        span.add("messaging.system", "kafka")
        span.add("messaging.operation.name", .text("\(verb)"))
        span.add("messaging.operation.type", .text("\(verb)"))
        span.add("messaging.destination.name", .text(topic.rawValue))
        span.add("flotilla.handler", .text(handler.rawValue))
        return span
    }
}

extension Event {
    /// Whether the `traceparent` says that nobody keeps the trace, told by its last digit alone: of most events this is
    /// all that is looked at. Others are read whole.
    var isSurelyUnsampled: Bool {
        guard let text = traceParentBytes, text.byteCount == TraceParent.byteCount else { return false }
        let last = unsafe text.unsafeLoad(fromByteOffset: TraceParent.byteCount - 1, as: UInt8.self)
        return last & 1 == 0 && (0x30...0x38).contains(last)
    }
}
