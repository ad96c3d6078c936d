internal import AdminPort
internal import Contracts
internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import Redis
internal import Synchronization
internal import Tracing
internal import WebAPI

/// The door: takes events over HTTP and publishes them. A 2xx means that the log has acknowledged them.
///
/// Everything here runs on the server's threads and waits for nothing: what is to wait is the request, suspended, until
/// the producer's report answers it.
final class Edge: RequestHandler {
    let configuration: EdgeConfiguration
    let publisher: Publisher
    let health: Health
    let counts = EdgeCounts()
    let share: StreamShare
    let topics: [TopicName: EdgeTopic]
    private let access: AccessLog
    private let openAPI: [UInt8]
    private let limiter: RateLimiter?
    private let memory: IdempotencyMemory?
    /// Nil where nothing is traced.
    let tracer: Tracer?

    init(
        _ configuration: EdgeConfiguration, producer: LastingProducer, health: Health, redis: RedisClient?, log: Log,
        tracer: Tracer? = nil
    ) {
        self.tracer = tracer
        access = AccessLog(log)
        self.configuration = configuration
        publisher = Publisher(producer: producer)
        share = StreamShare(limit: configuration.maxQueuedBytes / 2, batchBytes: LineReader.batchBytes)
        self.health = health
        memory = redis.map { IdempotencyMemory(redis: $0, prefix: configuration.catalog.namespace.key("edge:")) }
        let prefix = configuration.catalog.namespace.key("edge:rate:")
        limiter = configuration.rate.map { rate in
            RateLimiter(rate: rate, shared: redis.map { SharedLimits(redis: $0, prefix: prefix, rate: rate) })
        }
        let catalog = configuration.catalog
        topics = Dictionary(
            catalog.topics.filter { $0.publish != .no }.map { ($0.name, EdgeTopic($0, catalog.namespace)) },
            uniquingKeysWith: { first, _ in first })
        openAPI = Description.document(topics.values.map(\.topic), asksBearers: configuration.access.asksBearers)
    }

    // MARK: What the server asks

    func begin(_ exchange: Exchange) -> BodyPlan {
        let request = exchange.request
        if request.method == "OPTIONS", let answer = preflight(request) { return .answer(answer) }
        guard let (route, topic) = Route.find(request.path) else {
            return .answer(Problem(404, "there is nothing here: events go to POST /v1/events").response)
        }
        let isRead = route.method == "GET" && request.method == "HEAD"
        guard request.method == route.method || isRead else {
            var problem = Problem(405, "\(request.path) takes \(route.method)")
            problem.headers = [HTTPRequest.Field("Allow", route.method == "GET" ? "GET, HEAD" : route.method)]
            return .answer(problem.response)
        }
        if let tracer, route.method == "POST" { exchange.companion = RequestTrace(tracer, request, route) }
        switch route {
        case .events: return publish(exchange, to: Self.raw)
        case .topicEvents: return publish(exchange, to: TopicName(topic))
        case .live: return .answer(.text(200, "ok\n"))
        case .ready, .health:
            Task { [self] in
                let report = await health.report()
                exchange.answer(route == .ready ? report.readiness : report.response)
            }
            return .waitForAnswer
        case .description: return .answer(HTTPResponse(200, "application/json", openAPI))
        }
    }

    func refusal(_ status: Int, _ detail: String) -> HTTPResponse {
        Problem(status, detail).response
    }

    func timeout(_ request: HTTPRequest) -> HTTPResponse { Publisher.unacknowledged.response }

    func overload(_ request: HTTPRequest) -> HTTPResponse {
        LineReader.overload.response
    }

    func finished(_ exchange: Exchange, status: Int?) {
        let now = Time.monotonicMilliseconds
        counts.note(exchange.request, status, milliseconds: now - exchange.began)
        let trace = exchange.trace
        access.note(exchange.request, status, milliseconds: now - exchange.began, now: now, trace)
        trace?.end(status)
    }

    // MARK: Publishing

    private static let raw: TopicName = "events.raw"

    private func publish(_ exchange: Exchange, to name: TopicName) -> BodyPlan {
        let request = exchange.request
        do throws(Refused) {
            let caller = try caller(of: exchange)
            // Where nobody is asked, all are one.
            if configuration.access.open == nil { exchange.payer = caller.name }
            let topic = try topic(name, for: caller)
            let form = try BodyForm(request)
            if !request.hasBody {
                guard request.contentLength != nil || request.isChunked else {
                    throw Refused(Problem(411, "there is no body: an event is sent as one"))
                }
                guard form == .binaryCloudEvent else { throw Refused(Problem(400, "the body is empty: send an event")) }
            }
            let context = PublishContext(
                topic, caller: caller, now: Time.wallMilliseconds, traceParent: RequestTrace.parent(request),
                key: try Self.key(request), trace: exchange.trace)
            let isGzip = try Self.isGzip(request)
            if form == .lines {
                context.trace?.becomeMany()
                if isGzip, !exchange.keep(Gunzip.memory) {
                    _ = exchange.keep(0)
                    throw Refused(LineReader.overload)
                }
                do throws(Gunzip.Fault) {
                    return .stream(try LineReader(publisher, share, context, isGzip: isGzip))
                } catch { throw Refused(LineReader.problem(error)) }
            }
            let limit = form.isList ? Limits.list : topic.eventLimit
            let tooLarge: @Sendable () -> HTTPResponse = {
                Problem(413, "the body has more than the \(limit) bytes allowed").response
            }
            return .collect(limit: limit, tooLarge: tooLarge) { [self] exchange, body in
                do throws(Refused) {
                    let plain = isGzip ? try Self.gunzip(body, limit) : body
                    if isGzip, !exchange.hold(plain.count) { throw Refused(LineReader.overload) }
                    try publish(plain, form, context, exchange)
                } catch { exchange.answer(error.problem.response) }
            }
        } catch { return .answer(error.problem.response) }
    }

    private func publish(
        _ body: [UInt8], _ form: BodyForm, _ context: PublishContext, _ exchange: Exchange
    ) throws(Refused) {
        let topic = context.topic
        do throws(EventRefusal) {
            var batch = OutgoingBatch()
            // The value, and room for its envelope.
            batch.reserveCapacity(records: 1, headers: 10, bytes: body.count + 512)
            switch form {
            case .binaryCloudEvent:
                let event = try CloudEvent(headers: exchange.request, body: body, topic)
                let id = event.append(to: &batch, context)
                guard context.key != nil else { return publisher.publish(batch, id: id, topic, exchange) }
                once(.event(id: id, topic), context, form, body, exchange) { [publisher, batch] in
                    publisher.publish(batch, id: id, topic, exchange)
                }
            case .plain, .cloudEvent, .cloudEvents:
                let root = try Self.parse(body)
                guard root.kind == .array, form != .cloudEvent else {
                    if form == .cloudEvents { throw EventRefusal(.invalid, "", "must be an array of CloudEvents") }
                    let kind = form == .plain ? EventList.Form.plain : .cloud
                    let id = try EventList.append(root, root.sourceRange, kind, context, 0, to: &batch)
                    // Most send none, and need nothing that could be told to a memory.
                    guard context.key != nil else { return publisher.publish(batch, id: id, topic, exchange) }
                    return once(.event(id: id, topic), context, form, body, exchange) { [publisher, batch] in
                        publisher.publish(batch, id: id, topic, exchange)
                    }
                }
                if let list = try list(root, form == .plain ? .plain : .cloud, context, exchange) {
                    once(.list(list), context, form, body, exchange) { [publisher] in
                        publisher.publish(list, topic, exchange)
                    }
                }
            case .lines: break
            }
        } catch { throw Refused(Problem(error)) }
    }

    /// A list that may be published; nil when it was answered already.
    private func list(
        _ root: JSONValue, _ form: EventList.Form, _ context: PublishContext, _ exchange: Exchange
    ) throws(EventRefusal) -> EventList? {
        guard root.count <= Limits.listCount else {
            throw EventRefusal(
                .tooLarge, "", "the list has \(root.count) events, more than the \(Limits.listCount) allowed")
        }
        context.trace?.becomeMany()
        let list = EventList(root, form, context)
        if list.refusedCount > 0, !Self.isLenient(exchange.request) {
            exchange.answer(list.problem.response)
            return nil
        }
        return list
    }

    private static func parse(_ body: [UInt8]) throws(EventRefusal) -> JSONValue {
        do throws(JSONFault) {
            return try JSONDocument(parsing: body, limit: Limits.list).root
        } catch { throw EventRefusal(error) }
    }

    private static func gunzip(_ body: [UInt8], _ limit: Int) throws(Refused) -> [UInt8] {
        do throws(Gunzip.Fault) {
            if let plain = try Gunzip.whole(body, limit: limit) { return plain }
        } catch { throw Refused(LineReader.problem(error)) }
        throw Refused(Problem(413, "the body, unzipped, has more than the \(limit) bytes allowed"))
    }

    /// Publishes what is right, unless its Idempotency-Key says that it was, or is being, published before.
    private func once(
        _ events: RememberedEvents, _ context: PublishContext, _ form: BodyForm, _ body: [UInt8], _ exchange: Exchange,
        _ publish: @escaping @Sendable () -> Void
    ) {
        guard let key = context.key else { return publish() }
        guard let memory else {
            exchange.addHeaders([Self.unverified])
            return publish()
        }
        let name = memory.name(caller: context.caller.name, key: key)
        let whole = RememberedEvents.whole(exchange.request, context.topic.topic.name, form, body)
        Task {
            switch await memory.claim(name, whole: whole) {
            case .first(let owner):
                exchange.intercept { response in
                    Task {
                        if await !memory.settle(name, owner: owner, response, events) {
                            exchange.addHeaders([Self.unverified])
                        }
                        exchange.conclude(response)
                    }
                }
                publish()
            case .done(let status, let detail):
                exchange.addHeaders([HTTPRequest.Field("Idempotent-Replayed", "true")])
                exchange.answer(events.response(status, detail))
            case .busy:
                exchange.answer(
                    Problem(409, "the first request under this Idempotency-Key is under way", retryAfter: 1).response)
            case .differs:
                exchange.answer(
                    Problem(422, "under this Idempotency-Key another request was sent: a new one needs a new key")
                        .response)
            case .unknown:
                exchange.addHeaders([Self.unverified])
                publish()
            }
        }
    }

    /// Nobody remembers the key: the ids follow from it all the same.
    private static let unverified = HTTPRequest.Field("Idempotency-Status", "unverified")

    // MARK: What headers say

    /// A request that is refused.
    struct Refused: Error {
        let problem: Problem
        init(_ problem: Problem) { self.problem = problem }
    }

    /// Who it is, if they have not sent too many already. The verdict's headers go into the answer.
    private func caller(of exchange: Exchange) throws(Refused) -> Caller {
        let now = Time.monotonicMilliseconds
        let caller = try configuration.access.caller(of: exchange.request, now: now)
        guard let verdict = limiter?.take(caller.name, now: now) else { return caller }
        exchange.addHeaders(verdict.headers)
        guard verdict.passes else {
            throw Refused(
                Problem(
                    429, "\(caller.name) may send \(verdict.rate) requests a second: send lists or lines", retryAfter: 1
                ))
        }
        return caller
    }

    private func topic(_ name: TopicName, for caller: Caller) throws(Refused) -> EdgeTopic {
        if let topic = topics[name] {
            if caller.topics?.contains(name.rawValue) ?? true { return topic }
            throw Refused(Problem(403, "\(caller.name) may not publish to \(name)"))
        }
        guard configuration.catalog[name] != nil else {
            let shown = String(name.rawValue.prefix(80)).debugDescription
            throw Refused(Problem(404, "there is no topic \(shown)"))
        }
        throw Refused(
            Problem(403, "the topic \(name) is not open to clients: its topic file would have to say `publish: true`"))
    }

    // MARK: Answers

    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse {
        var response = response
        if let origin = request.header("origin"), configuration.allows(origin) {
            response.headers.append(HTTPRequest.Field("Access-Control-Allow-Origin", origin))
            response.headers.append(HTTPRequest.Field("Vary", "Origin"))
            response.headers.append(
                HTTPRequest.Field(
                    "Access-Control-Expose-Headers",
                    "Retry-After, RateLimit, RateLimit-Policy, Idempotent-Replayed, Idempotency-Status"))
        }
        return response
    }

    static let securityHeaders = [
        HTTPRequest.Field("X-Content-Type-Options", "nosniff"), HTTPRequest.Field("Cache-Control", "no-store"),
        HTTPRequest.Field("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ]

    /// What a browser asks before it sends; nil when it asks for what is not allowed.
    private func preflight(_ request: HTTPRequest) -> HTTPResponse? {
        guard let origin = request.header("origin"), configuration.allows(origin),
            let wanted = request.header("access-control-request-method"), let (route, _) = Route.find(request.path),
            wanted == route.method
        else { return nil }
        var response = HTTPResponse(204)
        response.headers += [
            HTTPRequest.Field("Access-Control-Allow-Methods", route.method),
            HTTPRequest.Field(
                "Access-Control-Allow-Headers",
                (["authorization, content-type, content-encoding, idempotency-key, prefer, traceparent"]
                    + Self.attributes(in: request)).joined(separator: ", ")),
            HTTPRequest.Field("Access-Control-Max-Age", "600"),
        ]
        return response
    }

    /// The attributes of a CloudEvent that a page asks to send as headers. Extensions have any name, so there is no list.
    private static func attributes(in request: HTTPRequest) -> [String] {
        let asked = request.header("access-control-request-headers")?.lowercased().split(separator: ",") ?? []
        return asked.map { $0.trimmed }.filter { $0.hasPrefix("ce-") && CloudEvent.isAttribute($0.dropFirst(3)) }
    }
}
