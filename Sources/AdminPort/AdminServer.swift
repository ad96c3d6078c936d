package import HTTP
internal import Platform

/// The port for those who watch over a process: whether it lives, whether it can serve, what it depends on, and figures.
///
/// It asks nobody who they are and tells no payloads, so it listens on this machine alone unless told otherwise.
///
/// Important: `stop` before the last reference goes.
package final class AdminServer: Sendable {
    private let server: HTTPServer
    private let host: String

    /// Where it listens, as HOST:PORT.
    package var address: String { host.contains(":") ? "[\(host)]:\(server.port)" : "\(host):\(server.port)" }
    package var port: UInt16 { server.port }

    /// Listens. `stuck` says why the process does no work any more, so that somebody starts it anew; it and `metrics` are
    /// asked on the server's thread, and may not wait. `pages`: what else is told, by its path.
    package init(
        host: String, port: UInt16, health: Health, stuck: @escaping @Sendable () -> String? = { nil },
        pages: [String: @Sendable () -> HTTPResponse] = [:], metrics: @escaping @Sendable (inout MetricsText) -> Void
    ) throws {
        var configuration = HTTPConfiguration()
        configuration.host = host
        configuration.port = port
        configuration.threads = 1
        configuration.maxConnections = 100
        self.host = host
        server = try HTTPServer(configuration, AdminPages(health: health, stuck: stuck, pages: pages, metrics: metrics))
    }

    package func stop() { server.stop(within: .seconds(1)) }
}

private struct AdminPages: RequestHandler {
    let health: Health
    let stuck: @Sendable () -> String?
    let pages: [String: @Sendable () -> HTTPResponse]
    let metrics: @Sendable (inout MetricsText) -> Void

    private static let paths: Set = ["/livez", "/readyz", "/ready", "/healthz", "/health", "/metrics"]

    func begin(_ exchange: Exchange) -> BodyPlan {
        let page = pages[exchange.request.path]
        guard page != nil || Self.paths.contains(exchange.request.path) else {
            let others = pages.keys.sorted().map { ", \($0)" }.joined()
            return .answer(.text(404, "there is /livez, /readyz, /healthz, /metrics\(others) here\n"))
        }
        guard ["GET", "HEAD"].contains(exchange.request.method) else {
            return .answer(HTTPResponse(405, headers: [HTTPRequest.Field("Allow", "GET, HEAD")]))
        }
        if let page { return .answer(page()) }
        switch exchange.request.path {
        case "/livez": return .answer(stuck().map { .text(503, $0 + "\n") } ?? .text(200, "ok\n"))
        case "/readyz", "/ready": return report(exchange) { $0.readiness }
        case "/healthz", "/health": return report(exchange) { $0.response }
        default:
            let accepted = exchange.request.header("accept") ?? ""
            let format = accepted.contains("application/openmetrics-text") ? MetricsText.Format.openMetrics : .plain
            var text = MetricsText(format)
            metrics(&text)
            text.addProcess()
            text.end()
            return .answer(HTTPResponse(200, format.contentType, Array(text.text.utf8)))
        }
    }

    private func report(_ exchange: Exchange, _ page: @escaping @Sendable (HealthReport) -> HTTPResponse) -> BodyPlan {
        Task { exchange.answer(page(await health.report())) }
        return .waitForAnswer
    }

    func refusal(_ status: Int, _ detail: String) -> HTTPResponse { .text(status, detail + "\n") }
    func timeout(_ request: HTTPRequest) -> HTTPResponse { .text(503, "no answer in time\n") }
    func overload(_ request: HTTPRequest) -> HTTPResponse { .text(503, "too many requests at once\n") }
    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse { response }
    func finished(_ exchange: Exchange, status: Int?) {}
}
