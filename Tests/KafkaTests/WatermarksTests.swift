import Kafka
import MockCluster
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct WatermarksTests {
    @Test func thoseOfSeveralPartitionsAreAskedTogether() async throws {
        let fixture = try Fixture(partitions: 3)
        try await fixture.fill(1, count: 5)
        try await fixture.withConsumer { consumer in
            let places = (0..<3).map { fixture.place($0) }
            let marks = try await consumer.watermarks(places, within: .seconds(30))
            #expect(marks[places[1]] == Watermarks(low: 0, high: 5) && marks[places[0]] == Watermarks(low: 0, high: 0))
            #expect(marks.count == 3)
            #expect(try await consumer.watermarks([], within: .seconds(1)).isEmpty)
        }
    }

    /// One leader that does not answer costs its share of the time, and not the answers of the others, however many
    /// partitions it leads.
    @Test func aLeaderThatHangsSpoilsOnlyItsOwn() async throws {
        let fixture = try Fixture(partitions: 60, brokers: 2)
        let places = (0..<60).map { fixture.place($0) }
        for place in places {
            let broker = 1 + place.partition.rawValue % 2
            try fixture.cluster.lead(place.topic.rawValue, partition: place.partition.rawValue, broker: broker)
        }
        try await fixture.withConsumer { consumer in
            #expect(try await consumer.watermarks(places, within: .seconds(30)).count == 60)
            fixture.cluster.set(broker: 2, roundTripMilliseconds: 3_600_000)
            // Also once it is no longer known who leads those that were not told.
            for _ in 0..<2 {
                let marks = try await consumer.watermarks(places, within: .seconds(2))
                #expect(marks.keys.sorted() == places.filter { $0.partition.rawValue % 2 == 0 })
            }
            fixture.cluster.set(broker: 1, roundTripMilliseconds: 3_600_000)
            await #expect(throws: KafkaFault.self) { try await consumer.watermarks(places, within: .seconds(1)) }
        }
    }

    /// Whoever asks about one partition, whose leader hangs, does not hold up a look at all of them.
    @Test func aQuestionThatHangsDoesNotHoldUpALook() async throws {
        let fixture = try Fixture(partitions: 4, brokers: 2)
        fixture.cluster.coordinate(group: "readers", by: 1)
        let places = (0..<4).map { fixture.place($0) }
        for place in places {
            let broker = 1 + place.partition.rawValue % 2
            try fixture.cluster.lead(place.topic.rawValue, partition: place.partition.rawValue, broker: broker)
        }
        try await fixture.withConsumer { consumer in
            #expect(try await consumer.watermarks(places, within: .seconds(30)).count == 4)
            fixture.cluster.set(broker: 2, roundTripMilliseconds: 3_600_000)
            let isAsked = Atomic<Bool>(false)
            let isOver = Atomic<Bool>(false)
            async let answer: Void = {
                isAsked.store(true, ordering: .relaxed)
                _ = try? await consumer.watermarks(fixture.place(1), within: .seconds(20))
                isOver.store(true, ordering: .relaxed)
            }()
            try await eventually { isAsked.load(ordering: .relaxed) }
            // Twice, for it may not have had its turn at the first time.
            for _ in 0..<2 {
                #expect(try await consumer.watermarks(places, within: .seconds(1)).count == 2)
                #expect(try await consumer.committed(places, within: .seconds(1)).isEmpty)
            }
            let wasOver = isOver.load(ordering: .relaxed)
            #expect(!wasOver)
            await answer
        }
    }

    /// The same for how far a group is: what was not told is named.
    @Test func theLagOfAGroupNeedsNoLeaderThatHangs() async throws {
        let fixture = try Fixture(partitions: 6, brokers: 3)
        fixture.cluster.coordinate(group: "readers", by: 1)
        let places = (0..<6).map { fixture.place($0) }
        for place in places {
            let number = place.partition.rawValue
            try fixture.cluster.lead(place.topic.rawValue, partition: number, broker: 1 + number % 3)
        }
        try await fixture.fill(0, count: 3)
        try await fixture.withConsumer { try await $0.commit([PartitionOffset(fixture.place(0), 1)]) }
        try await Admin.use(fixture.client, patience: .seconds(6)) { admin in
            #expect(try await admin.lag(of: "readers", on: ["events"]).told.count == 6)
            fixture.cluster.set(broker: 2, roundTripMilliseconds: 3_600_000)
            // Which broker is asked what topics there are is left to chance, and it may be that one again and again.
            var lags: GroupLags?
            try await eventually {
                lags = try? await admin.lag(of: "readers", on: ["events"])
                return lags != nil
            }
            #expect(lags?.told[fixture.place(0)]?.records == 2)
            #expect(lags?.untold == [fixture.place(1), fixture.place(4)], "\(String(describing: lags))")
            #expect(lags?.told.count == 4)
        }
    }

    /// Where only markers are left nobody waits for a record: the limit is longer than the test may take.
    @Test func timesOfNoRecordsAreNotWaitedFor() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(0, count: 1)
        let port = try #require(fixture.cluster.brokers[0].split(separator: ":").last.flatMap { UInt16($0) })
        let connection = try RawHTTPClient(port: port)
        await connection.send(MockCluster.marker(to: "events", partition: 0))
        try await fixture.withConsumer { consumer in
            try await eventually { try await consumer.watermarks(fixture.place(0)).high == 2 }
        }
        try await fixture.withConsumer {
            $0.tellsEnds = true
        } _: { consumer in
            let times = try await consumer.timesAside(
                of: [fixture.place(0): 1, fixture.place(1): 0], within: .seconds(600))
            #expect(times == [fixture.place(0): .noRecord, fixture.place(1): .noRecord])
        }
    }

    @Test func timesAreThoseOfTheRecordsThatAreThere() async throws {
        let fixture = try Fixture(partitions: 2)
        let records = (0..<3).map { number in
            OutgoingRecord(topic: fixture.topic, partition: 0, value: [1], timestamp: 1_767_225_600_000 + Int64(number))
        }
        try await fixture.withProducer { producer in
            let report = try await producer.send(OutgoingBatch(records))
            #expect(report.isAllDelivered)
        }
        try await fixture.withConsumer { consumer in
            let times = try await consumer.timesAside(of: [fixture.place(0): 1], within: .seconds(60))
            #expect(times == [fixture.place(0): .written(1_767_225_600_001)])
            // Nothing is there: nothing is told, and nobody waits for longer than was said.
            #expect(try await consumer.timesAside(of: [fixture.place(1): 0], within: .milliseconds(300)).isEmpty)
        }
    }
}
