internal import Flotilla
public import Model
internal import Platform

// The simplest test of a handler: call it.
extension Handler {
    /// Calls the handler once and returns what it would have published. What it throws is thrown.
    ///
    ///     let priced = try await Pricer().outputs(of: .sample(json: #"{"amount": 10, "country": "de"}"#))
    ///     #expect(priced.map(\.json) == [#"{"total":11.9}"#])
    ///
    /// Which topics it may publish to is a matter of the topic files, and so of `HandlerBench`.
    public func outputs(
        of event: Event, attempt: Int = 1, now: Timestamp? = nil
    ) async throws -> [PublishedEvent] {
        let context = Context(sample: .events(self), event, attempt: attempt, now: now)
        return try published(try await handle(event, context))
    }
}

extension HostedHandler {
    /// What outputs look like once they are records.
    func published(_ outputs: [Outgoing]) throws -> [PublishedEvent] {
        let encoder = EventEncoder(handler: name, namespace: Namespace(), produces: outputs.map(\.topic))
        var batch = OutgoingBatch()
        try encoder.append(outputs, to: &batch)
        return batch.records.map(PublishedEvent.init)
    }
}

extension BatchHandler {
    /// Calls the handler once with all of these and returns what it would have published.
    public func outputs(of events: [Event], now: Timestamp? = nil) async throws -> [PublishedEvent] {
        let context = Context(sample: .batches(self), events.first, attempt: 1, now: now)
        return try published(try await handle(events, context))
    }
}

extension Context {
    init(
        sample handler: AnyHandler, _ event: Event?, attempt: Int, now: Timestamp?, quietSince: Timestamp? = nil,
        readThrough: Timestamp? = nil
    ) {
        let clock = now.map { ManualClock(wallMilliseconds: $0.milliseconds) } ?? ManualClock()
        self.init(
            attempt: attempt, deadline: .seconds(30), event: event, handler: handler, clock: clock,
            log: Log(level: .warning, format: .text), quietSince: quietSince, readThrough: readThrough)
    }
}
