internal import AdminPort
internal import Contracts
internal import HTTP
internal import JSON
package import Kafka
internal import Model
package import Platform
package import Redis
package import Tracing

/// An edge with all that it needs: a producer, what asks after health, and the servers.
///
/// Important: `stop` before the last reference goes.
package final class EdgeServer: Sendable {
    private let edge: Edge
    let producer: LastingProducer
    private let admin: Admin
    private let server: HTTPServer
    private let adminServer: AdminServer?
    private let log: Log

    package var port: UInt16 { server.port }
    package var adminPort: UInt16? { adminServer?.port }
    package var adminAddress: String? { adminServer?.address }

    /// Listens. `redis` remembers Idempotency-Keys, and stays the caller's. `admin` is where health and metrics are; nil for
    /// nowhere.
    package init(
        _ configuration: EdgeConfiguration, client: ClientConfiguration, redis: RedisClient? = nil,
        admin place: (host: String, port: UInt16)? = nil, log: Log, tracer: Tracer? = nil
    ) async throws {
        var producing = ProducerConfiguration(client)
        // Less than the deadline, so that mostly the log's own word is the answer: librdkafka looks once a second.
        // A quarter of a millisecond makes batches of what comes together; clients that wait for each answer send little
        // in a longer one, and what is busy makes larger ones by itself.
        producing.deliveryTimeout = max(.seconds(1), configuration.http.answerTimeout - .milliseconds(1200))
        producing.topicPatience = min(.seconds(3), producing.deliveryTimeout)
        producing.linger = .microseconds(250)
        producing.maxQueuedRecords = 500_000
        producing.maxQueuedBytes = configuration.maxQueuedBytes
        // Brokers measure batches by the same limit as records: one of many small ones would be refused as too large.
        let smallest = configuration.catalog.topics.filter { $0.publish != .no }.map(\.maxMessageBytes).min()
        producing.batchBytes = min(producing.batchBytes, smallest ?? .max)
        let clients = ClientFigures()
        producing.client.tell(clients, as: "producer")
        let producer = try LastingProducer(producing, log: log)
        let admin: Admin
        do { admin = try Admin(client, patience: .seconds(2)) } catch {
            await producer.close(within: .zero)
            throw error
        }
        let namespace = configuration.catalog.namespace
        let open = configuration.catalog.topics.filter { $0.publish != .no }.map { namespace.topic($0.name) }
        let health = Health.edge(admin, producer, topics: Set(open), redis: redis, version: configuration.version)
        let edge = Edge(configuration, producer: producer, health: health, redis: redis, log: log, tracer: tracer)
        self.edge = edge
        self.producer = producer
        self.admin = admin
        self.log = log
        do {
            let server = try HTTPServer(configuration.http, edge)
            self.server = server
            do {
                adminServer = try place.map { place in
                    try AdminServer(host: place.host, port: place.port, health: health) { [edge] text in
                        edge.counts.write(
                            to: &text, topics: Array(edge.topics.values), connections: server.connectionCount,
                            held: server.heldBytes,
                            streamed: edge.share.bytes, producersReplaced: producer.replaced.value)
                        text.add(clients)
                        text.add(edge.tracer)
                    }
                }
            } catch {
                server.stop(within: .zero)
                throw error
            }
        } catch {
            await producer.close(within: .zero)
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
                adminServer?.stop()
                continuation.resume()
            }
            do throws(SystemError) { _ = try OSThread(name: "http-stop", stopping) } catch { stopping() }
        }
        await producer.close(within: .seconds(6))
        await admin.close()
    }
}
