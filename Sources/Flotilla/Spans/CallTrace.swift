internal import Kafka
internal import Model
internal import Synchronization
internal import Tracing

/// The spans of one call of the handler, while it lasts and while its outputs are on their way.
package final class CallTrace: Sendable {
    private let handler: HandlerTracer
    private let state: Mutex<State>
    /// What the author's own spans stand below: the call. Nil in a tick, whose spans are traces by themselves.
    let place: TraceParent?
    /// Of a call for one event, its `process` span; it is the failing one when the call fails.
    let failing: TraceParent?

    private let only: Offset?
    /// Where the events stand that have a span, where they are many.
    private let places: [Offset: TraceParent]

    private struct State {
        /// The `process` spans of those events that have one, in their order.
        var calls: [(offset: Offset, span: Span)]
        /// The span of a call for many.
        var batch: Span?
        /// What is published, with its place in the batch of outputs.
        var outputs: [(place: Int, span: Span)] = []
    }

    /// Spans for the outputs of one call. What more it publishes carries the place of the call.
    private static let mostOutputs = 128

    init(_ handler: HandlerTracer, calls: [(offset: Offset, span: Span)], batch: Span?) {
        self.handler = handler
        place = batch?.place ?? calls.first?.span.place
        failing = calls.count == 1 ? calls[0].span.place : nil
        places =
            calls.count == 1
            ? [:] : Dictionary(calls.map { ($0.offset, $0.span.place) }, uniquingKeysWith: { first, _ in first })
        only = calls.count == 1 ? calls[0].offset : nil
        state = Mutex(State(calls: calls, batch: batch))
    }

    var tracer: Tracer { handler.tracer }

    /// Where an event of the call stands; nil for one that has no span here.
    func place(of event: Event) -> TraceParent? {
        if let only { only == event.offset ? failing : nil } else { places[event.offset] }
    }

    /// The `traceparent` of an output; nil when it is to carry that of its cause as it came. `place`: in the batch.
    func output(to topic: TopicName, from cause: Event?, in given: TraceParent?, place number: Int, verb: StaticString)
        -> TraceParent?
    {
        var parent = given
        if parent == nil {
            if let cause {
                guard let place = place(of: cause) else { return nil }
                parent = place
            } else {
                parent = place
            }
        }
        if let parent, !tracer.keeps(below: parent) { return parent }
        guard state.withLock({ $0.outputs.count < Self.mostOutputs }) else { return parent }
        let span = handler.publishing(verb, topic, below: parent)
        let place = span.place
        if span.isRecording { state.withLock { $0.outputs.append((number, span)) } }
        return place
    }

    /// The call is over.
    func end(_ failure: ErrorStory? = nil) {
        let (calls, batch) = state.withLock { state in
            defer { (state.calls, state.batch) = ([], nil) }
            // What failed publishes nothing.
            if failure != nil { state.outputs = [] }
            return (state.calls, state.batch)
        }
        for span in calls.map(\.span) + [batch].compactMap({ $0 }) {
            var span = span
            if let failure { span.fail(ErrorText.line(failure.message, bytes: 512), type: failure.type) }
            tracer.end(span)
        }
    }

    /// The outputs are out, or given up: nil then. `refused`: what no topic takes, by the place in the batch.
    func sent(_ refused: [Int: KafkaFault]?) {
        let outputs = state.withLock { state in
            defer { state.outputs = [] }
            return state.outputs
        }
        for (place, span) in outputs {
            var span = span
            if let refused {
                if let fault = refused[place] { span.fail("\(fault)", type: "\(fault.kind)") }
            } else {
                span.fail("given up: the partition is somebody else's, or the process ends", type: "cancelled")
            }
            tracer.end(span)
        }
    }
}
