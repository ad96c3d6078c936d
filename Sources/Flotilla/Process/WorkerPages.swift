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
        let health = Health(version: build, probes: [.kafka(admin)] + probes) {
            let workers = process.workers
            return workers.isEmpty ? ["starting"] : workers.flatMap(\.obstacles)
        }
        do {
            server = try AdminServer(
                host: place.host, port: place.port, health: health,
                stuck: { process.workers.lazy.compactMap(\.stuck).first },
                metrics: {
                    $0.add(process.workers)
                    $0.add(process.tracer)
                })
        } catch {
            await admin.close()
            throw error
        }
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

    /// That nothing is done any more, although nothing says why.
    var stuck: String? {
        let still = Time.monotonicMilliseconds - lastTurn
        return still > Self.patience ? "the consumer of \(job.name) has stood still for \(still / 1000) s" : nil
    }

    /// What the handler waits for.
    var obstacles: [String] {
        broken.map { "\(job.name) waits for \($0)" } + (waitsForMemory ? ["\(job.name) waits for redis"] : [])
    }
}

extension MetricsText {
    mutating func add(_ workers: [HandlerWorker]) {
        func counter(_ name: String, _ help: String, _ value: (WorkerGauges) -> Int) {
            add(
                "flotilla_\(name)_total", .counter, help,
                workers.map { ([("handler", $0.job.name.rawValue)], Double(value($0.gauges))) })
        }
        func gauge(_ name: String, _ help: String, _ value: (HandlerWorker) -> Int) {
            add(
                "flotilla_\(name)", .gauge, help,
                workers.map { ([("handler", $0.job.name.rawValue)], Double(value($0))) })
        }
        counter("consumed", "Records that were read.") { $0.consumed.load(ordering: .relaxed) }
        counter("done", "Records that are finished.") { $0.done.load(ordering: .relaxed) }
        counter("published", "Outputs that the log has acknowledged.") { $0.published.load(ordering: .relaxed) }
        counter("repeats", "Events that the once-only memory knew.") { $0.repeats.load(ordering: .relaxed) }
        counter("retried", "Records that went to a retry topic.") { $0.retried.load(ordering: .relaxed) }
        counter("dead_lettered", "Records that went to the dead letters.") {
            $0.deadLettered.load(ordering: .relaxed)
        }
        counter("unchecked", "Events handled while the once-only memory was away.") {
            $0.unchecked.load(ordering: .relaxed)
        }
        gauge("in_flight", "Records that were read and are not finished.") { $0.outstanding }
        gauge("partitions", "Partitions that this worker has.") { $0.assignment.count }
        gauge("floods", "Failures that many events have in common.") { $0.floods.count }
        add(
            "flotilla_paused", .gauge, "Partitions that are not fetched, by the reason.",
            workers.flatMap { worker in
                let reasons = worker.paused.values.map(\.description)
                return Set(reasons).sorted().map { reason in
                    (
                        [("handler", worker.job.name.rawValue), ("reason", reason)],
                        Double(reasons.count { $0 == reason })
                    )
                }
            })
        add(
            "flotilla_dependency_missing", .gauge, "What a handler needs and does not get; there while it is missing.",
            workers.flatMap { worker in
                worker.broken.map { ([("handler", worker.job.name.rawValue), ("dependency", $0)], 1) }
            })
    }
}
