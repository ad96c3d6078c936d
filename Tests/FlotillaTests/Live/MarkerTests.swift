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
            let first = try cluster.worker()
            try await first.runs {
                // Whoever asks the broker how far the group is, is told the same.
                try await eventually { try await committed() == 3 }
                try await eventually { first.lags[place]?.records == 0 }
                #expect(first.lags[place]?.actionable == 0 && first.lags[place]?.milliseconds == 0)
            }
            // One that has nothing to read but a marker gets past it as well.
            await connection.send(MockCluster.marker(to: "events", partition: 0))
            let second = try cluster.worker()
            try await second.runs { try await eventually { try await committed() == 4 } }
        } catch {
            await admin.close()
            throw error
        }
        await admin.close()
    }
}
