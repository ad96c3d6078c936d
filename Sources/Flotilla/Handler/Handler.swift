public import Model

/// A function from an event to what follows from it: all that an author writes.
///
/// The runtime reads the topics, publishes what is returned, retries, remembers, dead-letters and commits. What a
/// handler throws decides what becomes of the event, see `Refusal`; any other error is taken for one that may pass.
///
/// Important: an event may be handled more than once, after a crash for one, so an effect outside of Kafka should be
/// one that can be repeated. A handler that has state uses `StatefulHandler`, whose effects are exact.
public protocol Handler: HostedHandler {
    /// Handles one event. Outputs are published, and acknowledged by the log, before the event counts as done.
    ///
    /// The task is cancelled when the deadline is over or the process has to stop; return or throw soon then.
    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing]
}

/// A handler that gains by seeing many events at once: one query, one request for all of them.
public protocol BatchHandler: Handler {
    /// Handles events of one partition in their order, 500 at most. When it throws, each of the events is handled by
    /// itself with `handle(_:_:)` of one event, so that one bad event costs only itself.
    func handle(_ events: [Event], _ context: Context) async throws -> [Outgoing]
}

extension BatchHandler {
    public func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        try await handle([event], context)
    }
}
