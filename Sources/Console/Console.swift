internal import Aggregate
internal import DeadLetters
internal import Fleet
internal import HTTP
internal import JSON
internal import Kafka
internal import Platform
internal import Postgres
internal import Redis
internal import Synchronization
internal import WebAPI

/// The page for whoever looks after a fleet, and the API that it asks.
///
/// The server's threads look at who asks and for what, and wait for nothing: what asks a database, Redis or the broker runs
/// in a task of its own, of which there are so many at most, and answers when it is done. What goes on (`/events`) is a feed
/// that the watch of the fleet, or the task that follows a job, writes to.
final class Console: RequestHandler {
    let place: Places
    private let gate: Gate
    let log: Log
    private let routes = RouteTable<Route>()
    private let description: [UInt8]
    private let underWay = Atomic<Int>(0)
    let counts = ConsoleCounts()
    let watch: FleetWatch
    let jobs: JobWatch
    /// Looking into topics takes a client of the broker each.
    let looks = Turns(8)

    /// Characters of a note, or of why something is done.
    static let mostWords = 500

    /// Requests that may be under way at once; more are told to come again.
    private static let mostUnderWay = 64
    private static let mostBody = 256 << 10

    init(_ place: Places, log: Log) {
        self.place = place
        self.log = log
        let configuration = place.configuration
        gate = Gate(
            hosts: configuration.hosts, tokens: configuration.tokens,
            open: configuration.tokens == nil ? ConsoleUser(configuration.operatorName, .operate) : nil)
        description = Description.document()
        watch = FleetWatch(place)
        jobs = JobWatch(place, watch)
    }

    // MARK: What the server asks

    func begin(_ exchange: Exchange) -> BodyPlan {
        do throws(Problem) { return try plan(exchange) } catch { return .answer(error.response) }
    }

    private func plan(_ exchange: Exchange) throws(Problem) -> BodyPlan {
        let request = exchange.request
        if let problem = gate.misdirection(request) { throw problem }
        let isRead = request.method == "GET" || request.method == "HEAD"
        if let file = Page.file(request.path) {
            guard isRead else { throw Self.wrongMethod(["GET", "HEAD"], request) }
            return .answer(file)
        }
        let found = routes.find(request.path)
        guard !found.isEmpty else {
            throw Problem(404, "there is nothing here: the page is at /, its API at /api/openapi.json")
        }
        let method = request.method == "HEAD" ? "GET" : request.method
        guard let (route, values) = found.first(where: { $0.route.method == method }) else {
            let methods = Set(found.map(\.route.method))
            throw Self.wrongMethod(methods.sorted() + (methods.contains("GET") ? ["HEAD"] : []), request)
        }
        try gate.checkOrigin(request, changes: route.method != "GET")
        // What the API can do is no secret.
        if route == .description { return .answer(HTTPResponse(200, "application/json", description)) }
        let user = try gate.user(request)
        guard user.role.may(route.role) else {
            throw Problem(403, "\(user.name) may look, and not change anything: that takes the role operate")
        }
        guard isRead else {
            if request.hasBody, request.header("content-type")?.lowercased().hasPrefix("application/json") != true {
                throw Problem(415, "a body is to be application/json")
            }
            return .collect(limit: Self.mostBody, tooLarge: { Self.tooLarge.response }) { [self] exchange, body in
                answer(exchange, Call(route, values, request, body, user))
            }
        }
        if route.isStream, request.method == "HEAD" { return .answer(HTTPResponse(200, "text/event-stream")) }
        let call = Call(route, values, request, [], user)
        guard request.hasBody else {
            answer(exchange, call)
            return .waitForAnswer
        }
        throw Problem(400, "a request that only looks has no body")
    }

    private static func wrongMethod(_ methods: [String], _ request: HTTPRequest) -> Problem {
        var problem = Problem(405, "this takes \(methods.joined(separator: " or "))")
        problem.headers = [HTTPRequest.Field("Allow", methods.joined(separator: ", "))]
        return problem
    }

    private static let tooLarge = Problem(413, "the body has more than \(mostBody) bytes")

    func refusal(_ status: Int, _ detail: String) -> HTTPResponse { Problem(status, detail).response }

    func timeout(_ request: HTTPRequest) -> HTTPResponse {
        Problem(503, "there was no answer in time: what was asked may be done all the same", retryAfter: 5).response
    }

    func overload(_ request: HTTPRequest) -> HTTPResponse { Self.busy.response }

    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse { response }

    func finished(_ exchange: Exchange, status: Int?) { counts.note(status) }

    private static let busy = Problem(503, "too much is asked at once: ask again in a moment", retryAfter: 1)

    // MARK: Answers

    private func answer(_ exchange: Exchange, _ call: Call) {
        guard underWay.add(1, ordering: .relaxed).newValue <= Self.mostUnderWay else {
            underWay.subtract(1, ordering: .relaxed)
            return exchange.answer(Self.busy.response)
        }
        Task {
            exchange.answer(await response(to: call))
            underWay.subtract(1, ordering: .relaxed)
        }
    }

    private func response(to call: Call) async -> HTTPResponse {
        do { return try await answer(call) } catch {
            let problem = Self.problem(error)
            if problem.status >= 500 {
                log.warning("console", [("path", call.request.path), ("error", "\(error)")])
            }
            return problem.response
        }
    }

    private func answer(_ call: Call) async throws -> HTTPResponse {
        switch call.route {
        case .session: try session(call)
        case .fleet: try fleet(call)
        case .fleetEvents: try fleetEvents(call)
        case .pause: try await pause(call)
        case .resume: try await resume(call)
        case .topics: try await topics(call)
        case .records: try await records(call)
        case .groups: try await groups(call)
        case .letters: try await letters(call)
        case .letter: try await letter(call)
        case .note: try await note(call)
        case .discard: try await move(call)
        case .restore: try await move(call)
        case .audit: try await audit(call)
        case .replays: try await replays(call)
        case .replay: try await replay(call)
        case .job: try await job(call)
        case .jobEvents: try await jobEvents(call)
        case .changeJob: try await changeJob(call)
        case .metrics: try await metrics(call)
        case .description: HTTPResponse(200, "application/json", description)
        }
    }

    /// What an error means to whoever asked.
    private static func problem(_ error: any Error) -> Problem {
        switch error {
        case let problem as Problem: problem
        case let fault as DeadLetterFilter.Fault: Questions.fault(fault.name, fault.problem)
        case let fault as WindowQuery.Fault: Questions.fault(fault.name, fault.problem)
        case let refused as Refused: Problem(409, refused.description)
        case let fault as PostgresFault:
            // Undefined table, undefined schema.
            fault.state == "42P01" || fault.state == "3F000"
                ? Problem(503, "nobody keeps that yet: the worker that makes the tables has not run (\(fault.reason))")
                : Problem(503, "\(fault)", retryAfter: 2)
        case let fault as KafkaFault: Problem(503, "\(fault)", retryAfter: 2)
        case let fault as RedisFault: Problem(503, "\(fault)", retryAfter: 2)
        case _: Problem(503, "\(error)", retryAfter: 2)
        }
    }

    private func session(_ call: Call) throws -> HTTPResponse {
        _ = try call.questions([])
        return .json { json in
            json.member("name", call.user.name)
            json.member("role", call.user.role.rawValue)
            json.member("version", place.configuration.version)
        }
    }
}

/// One request that may be answered.
struct Call: Sendable {
    let route: Route
    let values: [String]
    let request: HTTPRequest
    let body: [UInt8]
    let user: ConsoleUser

    init(_ route: Route, _ values: [String], _ request: HTTPRequest, _ body: [UInt8], _ user: ConsoleUser) {
        self.route = route
        self.values = values
        self.request = request
        self.body = body
        self.user = user
    }

    /// What stands for the first `{name}` of the path.
    var subject: String { values.first ?? "" }

    func questions(_ names: [String]) throws(Problem) -> Questions { try Questions(request, of: names) }

    func order(_ names: [String]) throws(Problem) -> Order {
        _ = try questions([])
        return try Order(body, of: names)
    }

    /// Whether personal fields are asked for, by somebody who may see them.
    func isUnmasked(_ questions: Questions) throws(Problem) -> Bool {
        guard try questions.flag("unmasked") else { return false }
        guard user.role == .operate else {
            throw Problem(403, "\(user.name) may not see what is personal: that takes the role operate")
        }
        return true
    }
}

extension HTTPResponse {
    static func json(_ status: Int = 200, _ body: (inout JSONWriter) throws -> Void) rethrows -> HTTPResponse {
        var json = JSONWriter(capacity: 1024)
        try json.object(body)
        return HTTPResponse(status, "application/json", json.bytes)
    }
}
