import HTTP
import Platform
import Synchronization
import TestSupport
import Testing

/// A server whose answers a test decides on.
final class TestServer: RequestHandler {
    private let plan: @Sendable (Exchange) -> BodyPlan
    private let ended = Mutex<[Int?]>([])

    init(_ plan: @escaping @Sendable (Exchange) -> BodyPlan) { self.plan = plan }

    func begin(_ exchange: Exchange) -> BodyPlan { plan(exchange) }
    func refusal(_ status: Int, _ detail: String) -> HTTPResponse { .text(status, detail) }
    func timeout(_ request: HTTPRequest) -> HTTPResponse { .text(503, "too late") }
    func overload(_ request: HTTPRequest) -> HTTPResponse { .text(503, "too much") }
    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse { response }
    func finished(_ exchange: Exchange, status: Int?) { ended.withLock { $0.append(status) } }

    /// How requests ended.
    var endings: [Int?] { ended.withLock { $0 } }

    /// What most tests need: a body is answered with itself.
    static let echo: @Sendable (Exchange) -> BodyPlan = { exchange in
        guard exchange.request.hasBody else { return .answer(.text(200, exchange.request.path)) }
        return .collect(limit: 100_000, tooLarge: { .text(413, "too large") }) { exchange, body in
            exchange.answer(HTTPResponse(200, "text/plain", body))
        }
    }

    /// A crowded machine is no fault of the server: tests of patience have less of it.
    static var patient: HTTPConfiguration {
        var configuration = HTTPConfiguration()
        configuration.answerTimeout = .seconds(60)
        configuration.bodyTimeout = .seconds(60)
        configuration.idleTimeout = .seconds(600)
        return configuration
    }

    /// Runs a server while `body` runs.
    static func with(
        _ configuration: HTTPConfiguration = patient, budget: Duration = .seconds(10),
        _ plan: @escaping @Sendable (Exchange) -> BodyPlan = TestServer.echo,
        _ body: (HTTPServer, TestServer) async throws -> Void
    ) async throws {
        let handler = TestServer(plan)
        let server = try HTTPServer(configuration, handler)
        do {
            try await body(server, handler)
            server.stop(within: budget)
        } catch {
            server.stop(within: budget)
            throw error
        }
    }
}
