import Kafka
import MockCluster
import Testing

@Suite(.timeLimit(.minutes(2))) struct RoundTripTests {
    @Test func everyKindOfRecordComesBackAsItWas() async throws {
        let fixture = try Fixture()
        let large = [UInt8](repeating: 0xa5, count: 1 << 20)
        let sent = [
            OutgoingRecord(topic: fixture.topic, partition: 0, key: Array("k".utf8), value: Array("v".utf8)),
            OutgoingRecord(topic: fixture.topic, partition: 0, key: nil, value: nil),
            OutgoingRecord(topic: fixture.topic, partition: 0, key: [], value: []),
            OutgoingRecord(topic: fixture.topic, partition: 0, key: [0, 255], value: nil),
            OutgoingRecord(topic: fixture.topic, partition: 0, key: nil, value: large),
            OutgoingRecord(
                topic: fixture.topic, partition: 0, value: [1],
                headers: [
                    Header("a", "1"), Header("a", "2"), Header("null", nil), Header("empty", []),
                    Header("bytes", [0, 255, 0]), Header("ü", "ö"), Header("", "nameless"),
                ], timestamp: 1_700_000_000_123),
        ]
        try await fixture.withProducer { producer in
            let report = try await producer.send(OutgoingBatch(sent))
            #expect(report.map { try? $0.get().offset } == (0..<6).map { Offset($0) })
        }
        let received = try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            return try await consumer.records(sent.count)
        }
        for (record, original) in zip(received, sent) {
            #expect(record.keyBytes == original.key)
            #expect(record.valueBytes == original.value)
            #expect(record.isTombstone == (original.value == nil))
            #expect(record.headers == original.headers)
            #expect(record.topicPartition == fixture.place(0))
            #expect((record.timestamp ?? 0) > 0)
        }
        #expect(received.map(\.offset) == (0..<6).map { Offset($0) })
        #expect(received[5].timestamp == 1_700_000_000_123)
        #expect(received[5].lastHeader("a") == Array("2".utf8))
        #expect(received[5].lastHeader("null") == .some(nil))
        #expect(received[5].lastHeader("none") == nil)
    }

    @Test func aGroupReadsWhatItSubscribedTo() async throws {
        let fixture = try Fixture(partitions: 3)
        for partition in 0..<3 { try await fixture.fill(Int32(partition), count: 10) }
        let texts = try await fixture.withConsumer { consumer in
            try await consumer.subscribe([fixture.topic])
            return try await consumer.records(30, max: 7).map { $0.text ?? "" }
        }
        let thrice = (0..<10).flatMap { number in Array(repeating: "\(number)", count: 3) }
        #expect(texts.sorted() == thrice.sorted())
    }

    @Test func aBatchHoldsNoMoreThanWasAskedFor() async throws {
        let fixture = try Fixture()
        try await fixture.fill(count: 10)
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            var offset: Int64 = 0
            while offset < 10 {
                guard case .records(let batch) = try await consumer.next(max: 3) else { continue }
                #expect(batch.count <= 3)
                #expect(batch.map(\.offset.rawValue) == (offset..<offset + Int64(batch.count)).map { $0 })
                offset += Int64(batch.count)
            }
            #expect(try await consumer.positions() == [fixture.place(0): 10])
        }
    }
}
