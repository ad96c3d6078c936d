package import AdminPort
package import Kafka
internal import Model
internal import Platform
package import Redis
internal import Synchronization

/// The admin port of a worker process.
final class WorkerPages: Sendable {
    private let admin: Admin
    private let server: AdminServer

    var address: String { server.address }

    /// `probes`: how what the process needs is asked, but for the broker.
    init(
        at place: (host: String, port: UInt16), _ client: ClientConfiguration, health probes: [Health.Probe],
        build: String, of process: WorkerProcess
    ) async throws {
        let admin = try Admin(client, patience: .seconds(2))
        self.admin = admin
        let retention = RetentionLook(admin)
        let health = Health(version: build, probes: [.kafka(admin)] + probes + [.lag { process.workers }]) {
            let workers = process.workers
            return workers.isEmpty ? ["starting"] : workers.flatMap(\.obstacles)
        }
        do {
            server = try AdminServer(
                host: place.host, port: place.port, health: health,
                stuck: { Self.stuck(process.workers) },
                metrics: {
                    retention.begin(process.workers)
                    $0.add(process.workers)
                    $0.add(process.clients)
                    $0.add(process.tracer)
                })
        } catch {
            await admin.close()
            throw error
        }
    }

    /// What /livez answers when it is not well; nil when it is.
    static func stuck(_ workers: [HandlerWorker], now: Int64 = Time.monotonicMilliseconds) -> String? {
        let stuck = workers.flatMap { $0.stuck(now: now) }
        return stuck.isEmpty ? nil : stuck.prefix(20).joined(separator: "\n")
    }

    func close() async {
        server.stop()
        await admin.close()
    }
}

extension Health.Probe {
    package static func kafka(_ admin: Admin) -> Health.Probe {
        Health.Probe("kafka") {
            do throws(KafkaFault) {
                _ = try await admin.topics([])
                return nil
            } catch { return "\(error)" }
        }
    }

    package static func redis(_ client: RedisClient) -> Health.Probe {
        Health.Probe("redis") { await client.trouble(within: .seconds(1)) }
    }

    /// `store`: nil until it is opened.
    static func database(_ handler: HandlerName, _ store: @escaping @Sendable () -> StateStore?) -> Health.Probe {
        Health.Probe("postgres.\(handler)") {
            guard let store = store() else { return "not opened yet" }
            return await store.trouble(within: .seconds(2))
        }
    }
}

extension HandlerWorker {
    /// Longer than any drain: a consumer that has not turned for so long never will.
    private static let patience: Int64 = 120_000

    /// What is not done any more, although nothing says why.
    func stuck(now: Int64) -> [String] {
        let still = now - lastTurn
        let consumer =
            still > Self.patience ? ["the consumer of \(job.name) has stood still for \(still / 1000) s"] : []
        return consumer + stuckPartitions.map { "\(job.name): \($0)" }
    }

    /// What the handler waits for.
    var obstacles: [String] {
        broken.map { "\(job.name) waits for \($0)" } + (waitsForMemory ? ["\(job.name) waits for redis"] : [])
    }
}
