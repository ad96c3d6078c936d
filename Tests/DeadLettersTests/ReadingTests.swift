import Flotilla
import Kafka
import LocalBroker
import MockCluster
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

@testable import DeadLetters

/// What is read of brokers: no more than somebody can wait for, and what cannot be read is told.
@Suite struct ReadingTests {
    @Test func aStoryEndsAfterAWhileAndSaysSo() async throws {
        try await withBroker { client in
            let (topic, letter) = (TopicName("orders.pricer.retry.10s"), TestLetters.letter(5))
            try await publish([copy(of: letter, to: topic)] + (0..<200).map { _ in noise(topic) }, to: topic, client)
            let reader = try RecordReader(client)
            let whole = try await reader.attempts(of: letter, Namespace(), topics: [topic], within: .seconds(60))
            #expect(
                whole.map(\.what) == [
                    "attempts 1 to 3 in orders/0/5 by worker w, in 4s: Refusal: no port; waits 10s until 1970-01-01T00:00:14.000Z"
                ], "\(whole)")
            // The first few are looked at, and the rest is not.
            let some = try await reader.attempts(
                of: letter, Namespace(), topics: [topic], within: .seconds(60), maxBytes: 50_000)
            #expect(some.count == 2 && some.last?.what.contains("not all of its attempts were looked for") == true)
            let none = try await reader.attempts(of: letter, Namespace(), topics: [topic], within: .zero)
            #expect(none.map(\.what) == some.suffix(1).map(\.what))
            await reader.close()
        }
    }

    @Test func attemptsAreToldStageByStage() async throws {
        try await withBroker { client in
            let letter = TestLetters.letter(5)
            let tiers = [TopicName("orders.pricer.retry.10s"), "orders.pricer.retry.1m"]
            for (number, topic) in tiers.enumerated() {
                var copy = copy(of: letter, to: topic)
                if number == 1 {
                    copy.headers += [
                        Header(HeaderName.retryAttempt, "4"), Header(HeaderName.retryTier, "1m"),
                        Header(HeaderName.retryLastFailed, "1970-01-01T00:00:16Z"),
                        Header(HeaderName.retryDue, "1970-01-01T00:01:16Z"),
                    ]
                }
                try await publish([copy], to: topic, client)
            }
            let reader = try RecordReader(client)
            let lines = try await reader.attempts(of: letter, Namespace(), topics: Set(tiers), within: .seconds(60))
            #expect(
                lines.map { String($0.what.prefix { $0 != ":" }) } == [
                    "attempts 1 to 3 in orders/0/5 by worker w, in 4s",
                    "attempt 4 in orders.pricer.retry.10s by worker w, in 2s",
                ])
            await reader.close()
        }
    }

    @Test func aTopicThatMayNotBeReadIsTold() async throws {
        try await withIndex { index in
            let cluster = try MockCluster()
            try cluster.create("orders.pricer.dlq", partitions: 1)
            // It may not be read for a while.
            cluster.fail(.fetch, with: [29, 29, 29, 29])
            let service = HandlerService(index.pool, log: Log(level: .error, format: .text), worker: "w")
            let follower = DeadLetterFollower(
                index, ClientConfiguration(brokers: cluster.brokers), Namespace(), service)
            let following = Task { try await follower.follow() }
            try await eventually { !follower.troubles.isEmpty }
            #expect(follower.troubles.first?.contains("orders.pricer.dlq") == true, "\(follower.troubles)")
            try await eventually { follower.troubles.isEmpty }
            service.end()
            try await following.value
        }
    }

    // MARK: What is needed

    private func publish(_ records: [OutgoingRecord], to topic: TopicName, _ client: ClientConfiguration) async throws {
        let admin = try Admin(client)
        #expect(try await admin.create([NewTopic(topic, partitions: 1)]).isEmpty)
        await admin.close()
        let producer = try Producer(ProducerConfiguration(client))
        #expect(try await producer.send(OutgoingBatch(records)).isAllDelivered)
        await producer.close()
    }

    private func copy(of letter: DeadLetters.DeadLetter, to topic: TopicName) -> OutgoingRecord {
        OutgoingRecord(
            topic: topic, partition: 0, value: [1],
            headers: [
                Header(HeaderName.sourcePartition, "\(letter.source.partition)"),
                Header(HeaderName.sourceOffset, "\(letter.source.offset)"), Header(HeaderName.retryAttempt, "3"),
                Header(HeaderName.retryTier, "10s"), Header(HeaderName.retryDue, "1970-01-01T00:00:14Z"),
                Header(HeaderName.retryLastFailed, "1970-01-01T00:00:04Z"), Header(HeaderName.retryWorker, "w"),
                Header(HeaderName.retryErrorType, "Refusal"), Header(HeaderName.retryErrorMessage, "no port"),
            ])
    }

    private func noise(_ topic: TopicName) -> OutgoingRecord {
        OutgoingRecord(topic: topic, partition: 0, value: [UInt8](repeating: 7, count: 10_000))
    }
}
