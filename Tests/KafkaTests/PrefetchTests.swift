import Testing

@testable import Kafka

@Suite struct PrefetchTests {
    private let a = TopicPartition("t", 0)
    private let b = TopicPartition("t", 1)

    /// What comes of records taken one lot after the other; a question is answered at once, or never.
    private func woken(
        _ lots: [(records: Int, bytes: Int, of: [TopicPartition])], isAnswered: Bool = true
    ) -> [[TopicPartition]] {
        var prefetch = Prefetch(bytes: 4000, records: 400)
        return lots.map { lot in
            prefetch.took(records: lot.records, bytes: lot.bytes, of: lot.of)
            let woken = prefetch.wake()
            if isAnswered { prefetch.answered() }
            return woken
        }
    }

    @Test func aQuarterOfEitherIsEnoughAndEachIsCountedAnew() {
        #expect(woken([(99, 10, [a]), (1, 10, [b, b]), (1, 999, [b]), (1, 1, [b])]) == [[], [a, b], [], [b]])
    }

    @Test func oneQuestionAtATime() {
        #expect(woken([(400, 0, [a]), (400, 0, [b]), (400, 0, [b])], isAnswered: false) == [[a], [], []])
    }

    @Test func whatIsTakenWhileAQuestionIsOpenCounts() {
        var prefetch = Prefetch(bytes: 4000, records: 400)
        prefetch.took(records: 100, bytes: 0, of: [a])
        let first = prefetch.wake()
        prefetch.took(records: 100, bytes: 0, of: [b])
        let meanwhile = prefetch.wake()
        prefetch.answered()
        let then = prefetch.wake()
        #expect(first == [a] && meanwhile.isEmpty && then == [b])
    }

    @Test func nothingTakenWakesNobody() {
        #expect(woken([(0, 0, []), (99, 999, [a])]) == [[], []])
    }
}

/// Where the library sleeps for a second whenever its queue was full, this many full queues would take minutes.
@Suite(.timeLimit(.minutes(1))) struct PrefetchedTests {
    @Test func aFullQueueIsFetchedAgainAsSoonAsItIsTakenFrom() async throws {
        let fixture = try Fixture()
        let padding = [UInt8](repeating: 0x78, count: 1000)
        let count = 4000
        let records = (0..<count).map { _ in OutgoingRecord(topic: fixture.topic, partition: 0, value: padding) }
        try await fixture.withProducer {
            // Batches as small as the queue, since one is fetched whole.
            $0.batchBytes = 10_000
        } _: { producer in
            let report = try await producer.send(OutgoingBatch(records))
            #expect(report.isAllDelivered)
        }
        try await fixture.withConsumer {
            $0.maxPrefetchedBytes = 20_000
            $0.client.extra["fetch.message.max.bytes"] = "20000"
        } _: { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            let offsets = try await consumer.records(count, max: 10).map(\.offset.rawValue)
            #expect(offsets == Array(0..<Int64(count)))
        }
    }
}
