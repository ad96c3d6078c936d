import Contracts
import Flotilla
import Kafka
import MockCluster
import Platform
import Testing

extension MockCluster {
    /// A worker for a handler `reader` of the topic `events`, which looks all the time how far behind it is.
    func worker() throws -> HandlerWorker {
        var policy = ConsumerPolicy(handler: "reader")
        policy.retry.tiers = []
        policy.once.ttl = nil
        var settings = WorkerSettings()
        settings.lagInterval = 100
        let client = ClientConfiguration(brokers: brokers)
        return HandlerWorker(
            HandlerJob(
                .events(TestHandler("reader") { _, _ in [] }), namespace: Namespace(), policies: ["events": policy]),
            source: try Consumer(HandlerWorker.consuming(client, group: "flotilla.reader")),
            sink: NoSink(), once: nil, log: Log(level: .error, format: .text),
            identity: WorkerIdentity(id: "test", build: "test"), settings: settings)
    }
}

extension HandlerWorker {
    /// Works while `body` does.
    func runs(_ body: () async throws -> Void) async throws {
        let running = Task { try await run() }
        do {
            try await body()
            stop()
            try await running.value
        } catch {
            stop()
            _ = await running.result
            throw error
        }
    }
}

private struct NoSink: RecordSink {
    func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        Issue.record("nothing is to be published")
    }
}
