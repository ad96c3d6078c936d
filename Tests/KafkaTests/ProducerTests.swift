import Kafka
import MockCluster
import Testing

@Suite(.timeLimit(.minutes(2))) struct ProducerTests {
    private func record(_ fixture: Fixture, _ value: String = "v", partition: Partition? = 0) -> OutgoingRecord {
        OutgoingRecord(topic: fixture.topic, partition: partition, value: Array(value.utf8))
    }

    private func fault(_ body: () async throws(KafkaFault) -> some Any) async -> KafkaFault? {
        do {
            _ = try await body()
            return nil
        } catch { return error }
    }

    @Test func oneRecordIsAcknowledgedWithItsPlace() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.withProducer { producer in
            let first = try await producer.send(record(fixture, partition: 1))
            let second = try await producer.send(record(fixture, partition: 1))
            #expect([first.partition, second.partition] == [1, 1])
            #expect([first.offset, second.offset] == [0, 1])
        }
    }

    @Test func aBatchOverSeveralTopicsHasAVerdictForEach() async throws {
        let fixture = try Fixture(partitions: 2)
        try fixture.cluster.create("other", partitions: 1)
        try await fixture.withProducer { producer in
            var batch = OutgoingBatch()
            batch.append(record(fixture))
            batch.append(OutgoingRecord(topic: "other", partition: 0, value: [1]))
            batch.append(OutgoingRecord(topic: "no such name", value: [1]))
            batch.append(OutgoingRecord(topic: "other", partition: 7, value: [1]))
            batch.append(record(fixture))
            let report = try await producer.send(batch)
            #expect(report.map { try? $0.get().offset } == [0, 0, nil, nil, 1])
            #expect(report.failureCount == 2)
            #expect(report.failures.map(\.index) == [2, 3])
            #expect(report.failures.map(\.fault.kind) == [.invalid, .unknownPartition])
            #expect(report.failures.map(\.fault.site.topic) == ["no such name", "other"])
            #expect(try await producer.send(OutgoingBatch()).isEmpty)
        }
    }

    @Test func aRecordMayHaveEverythingAtOnce() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.withProducer { producer in
            let record = OutgoingRecord(
                topic: fixture.topic, partition: 1, key: [1], value: [2], headers: [Header("h", [3])], timestamp: 4)
            // Repeated, because what is written beside its memory shows late.
            let report = try await producer.send(OutgoingBatch(Array(repeating: record, count: 100)))
            #expect(report.isAllDelivered)
        }
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(1): .earliest])
            for record in try await consumer.records(100) {
                #expect(record.keyBytes == [1] && record.valueBytes == [2] && record.timestamp == 4)
                #expect(record.headers == [Header("h", [3])])
            }
        }
    }

    @Test func aFullQueueIsAnErrorAtOnce() async throws {
        let fixture = try Fixture()
        // Nothing is acknowledged while the broker is away, so what is queued stays queued.
        fixture.cluster.set(broker: 1, roundTripMilliseconds: 3_600_000)
        var batch = OutgoingBatch()
        for number in 0..<10 { batch.append(record(fixture, "\(number)")) }
        let (stream, verdicts) = AsyncStream.makeStream(of: DeliveryReport.self)
        let producer = try Producer(
            {
                var configuration = ProducerConfiguration(fixture.client)
                configuration.maxQueuedRecords = 4
                return configuration
            }())
        try producer.enqueue(batch) { verdicts.yield($0) }
        // The queue has four records now, and no room for a fifth.
        let full = await fault { () throws(KafkaFault) in try await producer.send(record(fixture)) }
        #expect(full?.kind == .queueFull)
        #expect(full?.isRetriable == true)
        #expect(throws: KafkaFault.self) { try producer.enqueue(record(fixture)) { _ in } }
        await producer.close(within: .zero)
        for await report in stream {
            let kinds = report.map { verdict -> KafkaFault.Kind? in
                if case .failure(let fault) = verdict { fault.kind } else { nil }
            }
            #expect(
                kinds == Array(repeating: KafkaFault.Kind.purged, count: 4)
                    + Array(repeating: KafkaFault.Kind.queueFull, count: 6))
            break
        }
    }

    @Test func tooLargeIsAnErrorAtOnce() async throws {
        let fixture = try Fixture()
        try await fixture.withProducer {
            $0.maxRecordBytes = 1000
            $0.batchBytes = 1000
        } _: { producer in
            let large = OutgoingRecord(topic: fixture.topic, value: [UInt8](repeating: 1, count: 2000))
            let fault = await fault { () throws(KafkaFault) in try await producer.send(large) }
            #expect(fault?.kind == .tooLarge)
            #expect(fault?.isRetriable == false)
            #expect(fault?.site == KafkaFault.Site("produce", topic: fixture.topic))
        }
    }

    @Test func anUnknownTopicIsAFaultOfTheRecord() async throws {
        let fixture = try Fixture()
        fixture.cluster.fail(topic: "missing", with: 3)
        try await fixture.withProducer {
            $0.topicPatience = .milliseconds(200)
        } _: { producer in
            let fault = await fault { () throws(KafkaFault) in
                try await producer.send(OutgoingRecord(topic: "missing", value: [1]))
            }
            #expect(fault?.kind == .unknownTopic)
            _ = try await producer.send(record(fixture))
        }
    }

    @Test func whatIsNeverAcknowledgedTimesOut() async throws {
        let fixture = try Fixture()
        fixture.cluster.set(broker: 1, roundTripMilliseconds: 3_600_000)
        try await fixture.withProducer {
            $0.deliveryTimeout = .milliseconds(200)
        } _: { producer in
            let fault = await fault { () throws(KafkaFault) in try await producer.send(record(fixture)) }
            #expect(fault?.kind == .timedOut)
            #expect(fault?.isRetriable == true)
        }
    }

    @Test func aBrokersPassingErrorIsOvercome() async throws {
        let fixture = try Fixture()
        // NOT_LEADER_FOR_PARTITION, NOT_ENOUGH_REPLICAS
        fixture.cluster.fail(.produce, with: [6, 19])
        try await fixture.withProducer { producer in
            let delivery = try await producer.send(record(fixture))
            #expect(delivery.partition == 0)
        }
    }

    @Test func aCancelledWaitEndsAndTheRecordGoesOn() async throws {
        let fixture = try Fixture()
        // It lingers until the flush below, so that nobody acknowledges it before.
        var configuration = ProducerConfiguration(fixture.client)
        configuration.linger = .seconds(60)
        let producer = try Producer(configuration)
        let waiting = Task { [fixture] () throws(KafkaFault) in
            try await producer.send(OutgoingRecord(topic: fixture.topic, partition: 0, value: Array("kept".utf8)))
        }
        waiting.cancel()
        guard case .failure(let fault as KafkaFault) = await waiting.result else {
            Issue.record("what lingers cannot be acknowledged")
            return
        }
        #expect(fault.kind == .cancelled)
        try await producer.flush()
        await producer.close()
        try await fixture.withConsumer { consumer in
            try await consumer.assign([fixture.place(0): .earliest])
            #expect(try await consumer.records(1).first?.text == "kept")
        }
    }

    @Test func closingWaitsForWhatIsUnderWay() async throws {
        let fixture = try Fixture()
        let verdicts = Box<[Offset?]>([])
        var configuration = ProducerConfiguration(fixture.client)
        configuration.linger = .seconds(30)
        let producer = try Producer(configuration)
        for _ in 0..<10 {
            try producer.enqueue(record(fixture)) { verdict in
                let offset = try? verdict.get().offset
                verdicts.change { $0.append(offset) }
            }
        }
        // Half a minute of lingering is cut short.
        await producer.close()
        #expect(verdicts.value == (0..<10).map { Offset($0) })
        let after = await fault { () throws(KafkaFault) in try await producer.send(record(fixture)) }
        #expect(after?.kind == .closed)
        let flush = await fault { () throws(KafkaFault) in try await producer.flush() }
        #expect(flush?.kind == .closed)
        await producer.close()
    }

    @Test func manyTasksAtOnceEachGetTheirOwnVerdict() async throws {
        let fixture = try Fixture(partitions: 4)
        try await fixture.withProducer { producer in
            let places = try await withThrowingTaskGroup(of: [TopicPartition: [Offset]].self) { group in
                for task in 0..<8 {
                    group.addTask {
                        var places: [TopicPartition: [Offset]] = [:]
                        for number in 0..<100 {
                            let partition = Partition(Int32((task + number) % 4))
                            let delivery = try await producer.send(
                                OutgoingRecord(topic: fixture.topic, partition: partition, value: [1]))
                            #expect(delivery.partition == partition)
                            if let offset = delivery.offset {
                                places[fixture.place(partition.rawValue), default: []].append(offset)
                            }
                        }
                        return places
                    }
                }
                return try await group.reduce(into: [:]) { all, some in all.merge(some) { $0 + $1 } }
            }
            for partition in 0..<4 {
                #expect((places[fixture.place(Int32(partition))] ?? []).sorted() == (0..<200).map { Offset($0) })
            }
        }
    }

    @Test func aForgottenProducerEndsTheProcess() async {
        await #expect(processExitsWith: .failure) {
            _ = try Producer(ProducerConfiguration(ClientConfiguration(brokers: ["127.0.0.1:1"])))
        }
    }
}
