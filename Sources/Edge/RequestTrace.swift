internal import HTTP
internal import Kafka
internal import Model
internal import Synchronization
internal import Tracing

/// The spans of one request: its own, and one for each of its events on its way to the log.
///
/// An event by itself goes on in the request's trace. Of many each begins a trace of its own, which links to the request:
/// unless the client has begun one, which all of them are in then. An event that brings a `traceparent` goes on in that.
final class RequestTrace: Sendable {
    private let tracer: Tracer
    private let place: TraceParent
    private let isContinued: Bool
    private let state: Mutex<State>

    private struct State {
        var isMany = false
        /// Mostly nobody keeps anything: nil then, so that little is made for a request, and little looked at.
        var kept: Kept?
    }

    private final class Kept {
        var request: Span?
        /// Events that are gathered and not handed over yet, with their places in the batch.
        var events: [Event] = []

        init(_ request: Span? = nil) { self.request = request }
    }

    /// An event on its way.
    struct Event: Sendable {
        let place: Int
        var span: Span
    }

    /// Begins the span of a request, below what the client says.
    init(_ tracer: Tracer, _ request: HTTPRequest, _ route: Route) {
        self.tracer = tracer
        let parent = Self.parent(request)
        var span = tracer.begin("\(request.method) \(route.templates[0])", .server, entering: parent)
        place = span.place
        isContinued = parent != nil
        guard span.isRecording else {
            state = Mutex(State())
            return
        }
        span.set("http.request.method", .text(request.method))
        span.set("http.route", .text(route.templates[0]))
        span.set("url.path", .text(request.path))
        if let length = request.contentLength { span.set("http.request.body.size", .integer(Int64(length))) }
        state = Mutex(State(kept: Kept(span)))
    }

    /// Two of them are none, as the standard has it.
    static func parent(_ request: HTTPRequest) -> TraceParent? {
        guard request.count("traceparent") == 1 else { return nil }
        return request.withHeader("traceparent") { TraceParent(unsafe $0.bytes) } ?? nil
    }

    var id: TraceID { place.trace }

    /// What follows are the events of a list or of lines.
    func becomeMany() { state.withLock { $0.isMany = true } }

    /// Where an event stands from now on; `own` is what it brings, `number` its place in the batch.
    func begin(_ id: String, to topic: TopicName, own: TraceParent?, _ number: Int) -> TraceParent {
        let parent: TraceParent?
        var span: Span
        if own == nil, !state.withLock({ $0.isMany }) {
            // The request's own event: what was decided of the request holds for it.
            guard place.isSampled else { return place }
            parent = place
            span = tracer.begin("send \(topic)", .producer, below: place)
        } else {
            // Each of many counts, also within one trace: a request may bring a hundred thousand.
            parent = own ?? (isContinued ? place : nil)
            span = tracer.begin("send \(topic)", .producer, entering: parent)
        }
        guard span.isRecording else { return span.place }
        span.set("messaging.system", "kafka")
        span.set("messaging.operation.name", "send")
        span.set("messaging.operation.type", "send")
        span.set("messaging.destination.name", .text(topic.rawValue))
        span.set("messaging.message.id", .text(id))
        if parent != place, place.isSampled { span.link(place) }
        let result = span.place
        state.withLock { [span] state in
            let kept = state.kept ?? Kept()
            kept.events.append(Event(place: number, span: span))
            state.kept = kept
        }
        return result
    }

    /// The events of a batch that is handed over.
    func takeEvents() -> [Event] {
        state.withLock { state in
            guard let kept = state.kept else { return [] }
            defer { kept.events = [] }
            return kept.events
        }
    }

    /// What the log says of events.
    func end(_ events: [Event], _ report: DeliveryReport) {
        for event in events where event.place < report.count {
            var span = event.span
            switch report[event.place] {
            case .success(let delivery):
                span.set("messaging.destination.partition.id", .text("\(delivery.partition)"))
                if let offset = delivery.offset { span.set("messaging.kafka.offset", .integer(offset.rawValue)) }
            case .failure(let fault): span.fail("\(fault)", type: "\(fault.kind)")
            }
            tracer.end(span)
        }
    }

    /// They were not handed over at all.
    func end(_ events: [Event], _ fault: KafkaFault) {
        for event in events {
            var span = event.span
            span.fail("\(fault)", type: "\(fault.kind)")
            tracer.end(span)
        }
    }

    /// The request is over; nil when its connection broke before the answer.
    func end(_ status: Int?) {
        // What was refused is no event.
        guard var request = state.withLock({ $0.kept.take()?.request }) else { return }
        if let status {
            request.set("http.response.status_code", .integer(Int64(status)))
            // What the client did wrong is no failure of the server.
            if status >= 500 { request.fail("HTTP \(status)", type: "\(status)") }
        } else {
            request.fail("the connection broke before the answer", type: "broken")
        }
        tracer.end(request)
    }
}

extension Exchange {
    /// Nil where nothing is traced.
    var trace: RequestTrace? {
        guard let companion else { return nil }
        return companion as? RequestTrace
    }
}
