package import Model
public import Platform

/// What a handler is told beside the event.
public struct Context: Sendable {
    /// Which call of the handler this is for the event, over all retries: 1 is the first.
    public let attempt: Int
    private let until: Int64
    private let event: Event?
    private let scope: HandlerScope

    init(attempt: Int, until monotonic: Int64, event: Event?, scope: HandlerScope) {
        self.attempt = attempt
        until = monotonic
        self.event = event
        self.scope = scope
    }

    /// What a handler is told that no worker calls: a test does.
    package init(
        attempt: Int, deadline: Duration, event: Event?, handler: AnyHandler, clock: any WorkerClock, log: Log
    ) {
        let encoder = EventEncoder(handler: handler.name, namespace: Namespace(), produces: [])
        self.init(
            attempt: attempt, until: clock.monotonicMilliseconds + deadline.milliseconds, event: event,
            scope: HandlerScope(handler: handler, encoder: encoder, log: log, clock: clock))
    }

    /// What time it is for this handler: the machine's time, or a test's.
    public var now: Timestamp { Timestamp(milliseconds: scope.clock.wallMilliseconds) }

    /// When the call is cancelled.
    public var deadline: Timestamp {
        Timestamp(milliseconds: scope.clock.wallMilliseconds &+ (until &- scope.clock.monotonicMilliseconds))
    }

    /// A log for the handler's own lines.
    public var log: Log { scope.log }

    /// The trace that the call belongs to, as W3C's `traceparent`: that of the event, or of a batch's first one.
    /// Outputs carry it on by themselves.
    public var traceParent: String? { event?.traceParent }
}
