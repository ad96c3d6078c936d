import Contracts
import Flotilla
import Kafka
import MockCluster
import Platform
import TestSupport
import Testing

/// What has an offset in the log and is no record: the local broker has no such thing, librdkafka's mock cluster takes it.
@Suite struct MarkerTests {
    private let place = TopicPartition("events", 0)

    private func worker(of cluster: MockCluster) throws -> HandlerWorker {
        var policy = ConsumerPolicy(handler: "reader")
        policy.retry.tiers = []
        policy.once.ttl = nil
        var settings = WorkerSettings()
        settings.lagInterval = 100
        let client = ClientConfiguration(brokers: cluster.brokers)
        return HandlerWorker(
            HandlerJob(
                .events(TestHandler("reader") { _, _ in [] }), namespace: Namespace(), policies: ["events": policy]),
            source: try Consumer(HandlerWorker.consuming(client, group: "flotilla.reader")),
            sink: NoSink(), once: nil, log: Log(level: .error, format: .text),
            identity: WorkerIdentity(id: "test", build: "test"), settings: settings)
    }

    private struct NoSink: RecordSink {
        func enqueue(
            _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
        ) throws(KafkaFault) {
            Issue.record("nothing is to be published")
        }
    }

    private func running(_ worker: HandlerWorker, _ body: () async throws -> Void) async throws {
        let running = Task { try await worker.run() }
        do {
            try await body()
            worker.stop()
            try await running.value
        } catch {
            worker.stop()
            _ = await running.result
            throw error
        }
    }

    @Test(.timeLimit(.minutes(3))) func theLagOfATopicThatEndsInAMarkerIsNone() async throws {
        let cluster = try MockCluster()
        for topic in ["events", "events.reader.replay"] { try cluster.create(topic, partitions: 1) }
        let producer = try Producer(ProducerConfiguration(ClientConfiguration(brokers: cluster.brokers)))
        let records = (0..<2).map { number in
            OutgoingRecord(
                topic: "events", partition: 0, value: Array("{}".utf8),
                headers: [
                    Header("ce_specversion", "1.0"), Header("ce_id", "\(number)"), Header("ce_source", "/test"),
                    Header("ce_type", "test.made"), Header("content-type", "application/json"),
                ])
        }
        let report = try await producer.send(OutgoingBatch(records))
        await producer.close()
        #expect(report.isAllDelivered)
        let port = try #require(cluster.brokers[0].split(separator: ":").last.flatMap { UInt16($0) })
        let connection = try RawHTTPClient(port: port)
        await connection.send(MockCluster.marker(to: "events", partition: 0))
        let admin = try Admin(ClientConfiguration(brokers: cluster.brokers))
        func committed() async throws -> Offset? {
            try await admin.committed(by: "flotilla.reader", of: [place])[place]?.offset
        }
        do {
            let first = try worker(of: cluster)
            try await running(first) {
                // Whoever asks the broker how far the group is, is told the same.
                try await eventually { try await committed() == 3 }
                try await eventually { first.lags[place]?.records == 0 }
                #expect(first.lags[place]?.actionable == 0 && first.lags[place]?.milliseconds == 0)
            }
            // One that has nothing to read but a marker gets past it as well.
            await connection.send(MockCluster.marker(to: "events", partition: 0))
            let second = try worker(of: cluster)
            try await running(second) { try await eventually { try await committed() == 4 } }
        } catch {
            await admin.close()
            throw error
        }
        await admin.close()
    }
}
