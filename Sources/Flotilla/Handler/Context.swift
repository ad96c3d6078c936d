package import Model
public import Platform
public import Tracing

/// What a handler is told beside the event.
public struct Context: Sendable {
    /// Which call of the handler this is for the event, over all retries: 1 is the first.
    public let attempt: Int
    /// In a tick: since when the partition is read without a break and brings nothing; nil while it does, while it is
    /// paused, for whatever reason, and while records of it wait. Who does something because nothing comes goes by this:
    /// that nothing came may also mean that nobody looked.
    public let quietSince: Timestamp?
    private let reading: @Sendable () -> Timestamp?
    private let until: Int64
    private let event: Event?
    private let scope: HandlerScope
    /// Within a span of the author's own, that.
    private var inner: TraceParent?

    init(
        attempt: Int, until monotonic: Int64, event: Event?, scope: HandlerScope, quietSince: Timestamp? = nil,
        readThrough: @escaping @Sendable () -> Timestamp? = { nil }
    ) {
        self.attempt = attempt
        self.quietSince = quietSince
        reading = readThrough
        until = monotonic
        self.event = event
        self.scope = scope
    }

    /// What a handler is told that no worker calls: a test does.
    package init(
        attempt: Int, deadline: Duration, event: Event?, handler: AnyHandler, clock: any WorkerClock, log: Log,
        quietSince: Timestamp? = nil, readThrough: Timestamp? = nil
    ) {
        let encoder = EventEncoder(handler: handler.name, namespace: Namespace(), produces: [])
        self.init(
            attempt: attempt, until: clock.monotonicMilliseconds + deadline.milliseconds, event: event,
            scope: HandlerScope(handler: handler, encoder: encoder, log: log, clock: clock), quietSince: quietSince,
            readThrough: { readThrough })
    }

    /// What time it is for this handler: the machine's time, or a test's.
    public var now: Timestamp { Timestamp(milliseconds: scope.clock.wallMilliseconds) }

    /// In a tick: all that the partition had at this time is applied; nil while that is not known. Who concludes from what
    /// is missing goes by this: what happened later may still wait to be read.
    ///
    /// The log is asked only for those who look, so the first look tells nothing, and the next ones a time of shortly before.
    public var readThrough: Timestamp? { reading() }

    /// When the call is cancelled.
    public var deadline: Timestamp {
        Timestamp(milliseconds: scope.clock.wallMilliseconds &+ (until &- scope.clock.monotonicMilliseconds))
    }

    /// A log for the handler's own lines, which say by themselves which handler, event and trace they are about.
    public var log: Log {
        scope.log.with { [handler = scope.handler.name, event, trace = place] in
            var fields: [Log.Field] = [("handler", handler)]
            if let event { fields.append(("event", event.id)) }
            if let trace { fields.append(("trace", trace.trace)) }
            return fields
        }
    }

    /// The trace that the call belongs to, as W3C's `traceparent`; nil where there is none. It is for requests that the
    /// handler makes; outputs carry it on by themselves.
    public var traceParent: String? { place?.description }

    /// The same of one event of the call: for what is kept, to be done later.
    public func traceParent(of event: Event) -> String? {
        (scope.call?.place(of: event) ?? event.trace)?.description
    }

    /// Measures a part of what the handler does, as a span of the call's trace. `body` says in the span what is to be
    /// known of it; what it throws marks the span as failed. With the context that it gets, spans go into spans.
    ///
    /// Where nothing is traced, or nobody keeps this trace, `body` is called and nothing else is done.
    public func withSpan<Value>(
        _ name: String, _ kind: Span.Kind = .internal, _ body: (inout Span, Context) async throws -> Value
    ) async rethrows -> Value {
        guard let tracer = scope.tracer?.tracer else {
            var none = Span.none
            return try await body(&none, self)
        }
        var within = self
        return try await tracer.withSpan(name, kind, below: place) { span in
            within.inner = span.place
            return try await body(&span, within)
        }
    }

    private var place: TraceParent? { inner ?? scope.call?.place ?? event?.trace }
}
