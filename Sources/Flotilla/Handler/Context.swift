package import Model
public import Platform

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

    /// A log for the handler's own lines.
    public var log: Log { scope.log }

    /// The trace that the call belongs to, as W3C's `traceparent`: that of the event, or of a batch's first one.
    /// Outputs carry it on by themselves.
    public var traceParent: String? { event?.traceParent }
}
