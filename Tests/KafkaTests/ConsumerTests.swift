import Kafka
import MockCluster
import Testing

@Suite(.timeLimit(.minutes(2))) struct ConsumerTests {
    @Test func aPausedPartitionIsSilentUntilItIsResumed() async throws {
        let fixture = try Fixture(partitions: 2)
        for partition in 0..<2 { try await fixture.fill(Int32(partition), count: 20) }
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest, fixture.place(1): .earliest])
            try await consumer.pause([fixture.place(0), fixture.place(0), TopicPartition("else", 0)])
            let ofOne = try await consumer.records(20)
            #expect(ofOne.allSatisfy { $0.partition == 1 })
            try await consumer.resume([fixture.place(1)])
            try await consumer.resume([fixture.place(0)])
            let ofNull = try await consumer.records(20)
            #expect(ofNull.allSatisfy { $0.partition == 0 })
            #expect(ofNull.map(\.offset.rawValue) == Array(0..<20))
        }
    }

    @Test func pausingInTheMiddleLosesAndRepeatsNothing() async throws {
        let fixture = try Fixture()
        try await fixture.fill(count: 300)
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            var offsets: [Int64] = []
            while offsets.count < 300 {
                offsets += try await consumer.records(1, max: 7).map(\.offset.rawValue)
                try await consumer.pause([fixture.place(0)])
                try await consumer.resume([fixture.place(0)])
                // Resuming what runs must not rewind it.
                try await consumer.resume([fixture.place(0)])
            }
            #expect(offsets == Array(0..<300))
        }
    }

    @Test func allAtOnceIsABatchAPartition() async throws {
        let fixture = try Fixture(partitions: 3)
        for partition in 0..<3 { try await fixture.fill(Int32(partition), count: 200) }
        try await fixture.withConsumer { consumer in
            try await consumer.assign([
                fixture.place(0): .earliest, fixture.place(1): .earliest, fixture.place(2): .earliest,
            ])
            var offsets: [Partition: [Int64]] = [:]
            while offsets.values.reduce(0, { $0 + $1.count }) < 600 {
                for event in try await consumer.nextAll(max: 70, within: .seconds(10)) {
                    guard case .records(let batch) = event else { continue }
                    #expect(Set(batch.map(\.topicPartition)).count == 1)
                    #expect(!batch.isEmpty && batch.count <= 70)
                    offsets[batch[0].partition, default: []] += batch.map(\.offset.rawValue)
                }
            }
            for partition in 0..<3 { #expect(offsets[Partition(Int32(partition))] == Array(0..<200)) }
            #expect(try await consumer.nextAll(within: .milliseconds(1)).isEmpty)
        }
    }

    @Test func seekingGoesWhereItWasAsked() async throws {
        let fixture = try Fixture()
        try await fixture.fill(count: 50)
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            // At once, before the partition is being fetched.
            try await consumer.seek(fixture.place(0), to: .offset(30))
            #expect(try await consumer.records(1, max: 1).map(\.offset) == [30])
            try await consumer.seek(fixture.place(0), to: .offset(10))
            #expect(try await consumer.records(1, max: 1).map(\.offset) == [10])
            try await consumer.seek(fixture.place(0), to: .earliest)
            #expect(try await consumer.records(1, max: 1).map(\.offset) == [0])
            try await consumer.pause([fixture.place(0)])
            try await consumer.seek(fixture.place(0), to: .offset(40))
            try await consumer.resume([fixture.place(0)])
            #expect(try await consumer.records(1, max: 1).map(\.offset) == [40])
            await #expect(throws: KafkaFault.self) {
                try await consumer.seek(TopicPartition("else", 0), to: .earliest)
            }
        }
    }

    @Test func theEndIsToldWhenAskedFor() async throws {
        let fixture = try Fixture()
        try await fixture.fill(count: 5)
        try await fixture.withConsumer {
            $0.tellsEnds = true
        } _: { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            #expect(try await consumer.records(5).count == 5)
            let end = try await consumer.event { event in
                if case .end(let place, let offset) = event { (place, offset) } else { nil }
            }
            #expect(end == (fixture.place(0), 5))
            #expect(try await consumer.lag() == [fixture.place(0): 0])
        }
    }

    @Test func committedOffsetsAndTheirNotesStay() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(count: 10)
        try await fixture.withConsumer { consumer in
            try await consumer.subscribe([fixture.topic])
            #expect(try await consumer.records(10).count == 10)
            try await consumer.commit([PartitionOffset(fixture.place(0), 4, metadata: "till four")])
            // Nothing is stored, and that is no fault.
            try await consumer.commitStored()
            let committed = try await consumer.committed([fixture.place(0), fixture.place(1)])
            #expect(committed == [fixture.place(0): PartitionOffset(fixture.place(0), 4, metadata: "till four")])
            try await consumer.store([PartitionOffset(fixture.place(0), 7)])
            try await consumer.commitStored()
            #expect(try await consumer.committed([fixture.place(0)])[fixture.place(0)]?.offset == 7)
        }
        try await fixture.withConsumer { consumer in
            try await consumer.subscribe([fixture.topic])
            #expect(try await consumer.records(3).map(\.offset) == [7, 8, 9])
        }
    }

    @Test func aRefusedCommitIsAFault() async throws {
        let fixture = try Fixture()
        // UNKNOWN_MEMBER_ID: the group went on without us.
        fixture.cluster.fail(.offsetCommit, with: [25])
        try await fixture.withConsumer { consumer in
            try await consumer.subscribe([fixture.topic])
            _ = try await consumer.event { if case .assigned = $0 { true } else { nil } }
            do throws(KafkaFault) {
                try await consumer.commit([PartitionOffset(fixture.place(0), 1)])
                Issue.record("the commit was to be refused")
            } catch {
                #expect(error.kind == .rebalancing)
                #expect(error.site.operation == "commit")
            }
        }
    }

    @Test func theLogsBoundsAndTimesAreKnown() async throws {
        let fixture = try Fixture()
        try await fixture.fill(count: 12)
        try await fixture.withConsumer { consumer in
            let watermarks = try await consumer.watermarks(fixture.place(0))
            #expect(watermarks == Watermarks(low: 0, high: 12))
        }
    }

    @Test func aCancelledWaitLosesNothing() async throws {
        let fixture = try Fixture()
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            let waiting = Task { () throws(KafkaFault) in try await consumer.next() }
            waiting.cancel()
            guard case .failure(let fault as KafkaFault) = await waiting.result else {
                Issue.record("there was nothing to be had")
                return
            }
            #expect(fault.kind == .cancelled)
            #expect(try await consumer.next(within: .milliseconds(1)) == nil)
            try await fixture.fill(count: 100)
            // However waits and cancellations meet, each record comes once.
            var offsets: [Int64] = []
            while offsets.count < 100 {
                let racing = Task { () throws(KafkaFault) in try await consumer.next(max: 3) }
                racing.cancel()
                if case .success(.records(let batch)) = await racing.result { offsets += batch.map(\.offset.rawValue) }
                guard offsets.count < 100 else { break }
                offsets += try await consumer.records(1, max: 2).map(\.offset.rawValue)
            }
            #expect(offsets == Array(0..<100))
        }
    }

    @Test func closingEndsWhoWaits() async throws {
        let fixture = try Fixture()
        let consumer = try Consumer(ConsumerConfiguration(fixture.client, group: "g"))
        try await consumer.subscribe([fixture.topic])
        _ = try await consumer.event { if case .assigned = $0 { true } else { nil } }
        let waiting = Task { () throws(KafkaFault) in try await consumer.next() }
        await consumer.close()
        await #expect(throws: KafkaFault.self) { try await waiting.value }
        await #expect(throws: KafkaFault.self) { try await consumer.next() }
        await #expect(throws: KafkaFault.self) { try await consumer.commit([]) }
        await #expect(throws: KafkaFault.self) { try await consumer.watermarks(fixture.place(0)) }
        await consumer.close()
    }

    @Test func aPartitionAssignedAgainStartsAnew() async throws {
        let fixture = try Fixture(partitions: 2)
        for partition in 0..<2 { try await fixture.fill(Int32(partition), count: 40) }
        try await fixture.withConsumer { consumer in
            for round in 0..<5 {
                try await consumer.assign([fixture.place(0): .offset(Offset(Int64(round)))])
                let records = try await consumer.records(40 - round, max: 11)
                #expect(records.map(\.offset.rawValue) == Array(Int64(round)..<40))
                #expect(try await consumer.assignment() == [fixture.place(0)])
            }
            try await consumer.assign([:])
            #expect(try await consumer.assignment().isEmpty)
            #expect(try await consumer.next(within: .milliseconds(50)) == nil)
        }
    }

    @Test func aSubscriptionAndAnAssignmentDoNotMix() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(count: 3)
        try await fixture.withConsumer { consumer in
            try await consumer.assign([TopicPartition("elsewhere", 0): .earliest])
            try await consumer.subscribe([fixture.topic])
            #expect(try await consumer.records(3).count == 3)
            #expect(try await consumer.assignment() == [fixture.place(0), fixture.place(1)])
            await #expect(throws: KafkaFault.self) { try await consumer.assign([fixture.place(0): .earliest]) }
            try await consumer.unsubscribe()
            let revocation = try await consumer.event { if case .revoked(let it) = $0 { it } else { nil } }
            revocation.done()
            try await consumer.assign([fixture.place(0): .offset(2)])
            #expect(try await consumer.records(1).map(\.offset) == [2])
        }
    }

    @Test func whatNobodyWaitsForIsToldToTheHookWhenItIsTooLate() async throws {
        let fixture = try Fixture()
        let faults = Box<[KafkaFault.Kind]>([])
        var client = fixture.client
        client.hooks.fault = { fault in faults.change { $0.append(fault.kind) } }
        let consumer = try Consumer(ConsumerConfiguration(client, group: "g"))
        await consumer.close()
        consumer.commitLater([PartitionOffset(fixture.place(0), 1)])
        consumer.pauseLater([fixture.place(0)])
        #expect(faults.value == [.closed, .closed])
    }

    @Test func aMissingOffsetIsToldWhenNoStartIsAllowed() async throws {
        let fixture = try Fixture()
        try await fixture.fill(count: 3)
        try await fixture.withConsumer {
            $0.start = .fault
        } _: { consumer in
            try await consumer.assign([fixture.place(0): .committed])
            let fault = try await consumer.event { event in
                if case .fault(let fault) = event { fault } else { nil }
            }
            #expect(!fault.isFatal)
        }
    }
}

extension ConsumerEvent? {
    static func == (left: Self, right: _OptionalNilComparisonType) -> Bool {
        if case .none = left { true } else { false }
    }
}
