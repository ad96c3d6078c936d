internal import Contracts
internal import HTTP
internal import JSON
package import Kafka
internal import Model
package import Platform
package import Redis

/// An edge with all that it needs: a producer, what asks after health, and the servers.
///
/// Important: `stop` before the last reference goes.
package final class EdgeServer: Sendable {
    private let edge: Edge
    private let producer: Producer
    private let admin: Admin
    private let server: HTTPServer
    private let adminServer: HTTPServer?
    private let log: Log

    package var port: UInt16 { server.port }
    package var adminPort: UInt16? { adminServer?.port }

    /// Listens. `redis` remembers Idempotency-Keys, and stays the caller's. `adminPort` is where /metrics is; nil for nowhere. `fatal` is called once when the edge can never
    /// publish again, and is to have the process end.
    package init(
        _ configuration: EdgeConfiguration, client: ClientConfiguration, redis: RedisClient? = nil,
        adminPort: UInt16? = nil, log: Log,
        fatal: @escaping @Sendable (KafkaFault) -> Void = { _ in }
    ) async throws {
        var producing = ProducerConfiguration(client)
        // Less than the deadline, so that mostly the log's own word is the answer: librdkafka looks once a second.
        // A tick of a millisecond makes batches of what comes together, and is not felt.
        producing.deliveryTimeout = max(.seconds(1), configuration.http.answerTimeout - .milliseconds(1200))
        producing.topicPatience = min(.seconds(3), producing.deliveryTimeout)
        producing.linger = .milliseconds(1)
        producing.maxQueuedRecords = 500_000
        producing.client.hooks.fault = { fault in
            log.warning("kafka", [("error", fault)])
            if fault.isFatal { fatal(fault) }
        }
        let producer = try Producer(producing)
        let admin: Admin
        do { admin = try Admin(client, patience: .seconds(2)) } catch {
            await producer.close()
            throw error
        }
        let namespace = configuration.catalog.namespace
        let open = configuration.catalog.topics.filter { $0.publish != .no }.map { namespace.topic($0.name) }
        let health = Health(admin, topics: Set(open), redis: redis, version: configuration.version)
        let edge = Edge(configuration, producer: producer, health: health, redis: redis, log: log)
        self.edge = edge
        self.producer = producer
        self.admin = admin
        self.log = log
        do {
            let server = try HTTPServer(configuration.http, edge)
            self.server = server
            do {
                adminServer = try adminPort.map { port in
                    var http = HTTPConfiguration()
                    http.host = configuration.http.host
                    http.port = port
                    http.threads = 1
                    http.maxConnections = 100
                    return try HTTPServer(http, AdminPages(edge, server))
                }
            } catch {
                server.stop(within: .zero)
                throw error
            }
        } catch {
            await producer.close()
            await admin.close()
            throw error
        }
    }

    /// Not ready any more, answers what is under way, takes nothing new, and ends.
    package func stop() async {
        edge.health.stop()
        await withCheckedContinuation { continuation in
            let stopping: @Sendable () -> Void = { [self] in
                server.stop()
                adminServer?.stop(within: .seconds(1))
                continuation.resume()
            }
            do throws(SystemError) { _ = try OSThread(name: "http-stop", stopping) } catch { stopping() }
        }
        await producer.close(within: .seconds(6))
        await admin.close()
    }
}

/// What the admin port has: health, and metrics.
final class AdminPages: RequestHandler {
    private let edge: Edge
    private let server: HTTPServer

    init(_ edge: Edge, _ server: HTTPServer) {
        self.edge = edge
        self.server = server
    }

    func begin(_ exchange: Exchange) -> BodyPlan {
        if exchange.request.path == "/metrics" {
            let text = edge.counts.text(connections: server.connectionCount)
            return .answer(HTTPResponse(200, "text/plain; version=0.0.4", Array(text.utf8)))
        }
        switch Route.find(exchange.request.path)?.route {
        case .live, .ready, .health: return edge.begin(exchange)
        case .events, .topicEvents, .description, nil:
            return .answer(Problem(404, "there is /livez, /readyz, /healthz and /metrics here").response)
        }
    }

    func refusal(_ status: Int, _ detail: String) -> HTTPResponse { edge.refusal(status, detail) }
    func timeout(_ request: HTTPRequest) -> HTTPResponse {
        Problem(503, "no answer in time", retryAfter: 1).response
    }
    func overload(_ request: HTTPRequest) -> HTTPResponse { edge.overload(request) }
    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse { response }
    func finished(_ exchange: Exchange, status: Int?) {}
}
