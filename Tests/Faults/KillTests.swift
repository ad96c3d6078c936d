import Glibc
import Kafka
import TestSupport
import Testing

/// kill -9 of the broker, twenty times, under a producer that promises exactly once and two consumers of one group.
///
/// Nothing here waits for time: the next kill comes when so many more records have been acknowledged, and the end when
/// everything acknowledged was read.
@Suite(.serialized, .timeLimit(.minutes(3))) struct KillTests {
    private static let topic: TopicName = "numbers"
    private static let partitions: Int32 = 4
    private static let kills = 20

    @Test func twentyKillsLoseNothingAndRepeatNothing() async throws {
        let folder = TemporaryFolder()
        let broker = try BrokerProcess(folder: folder.path)
        try broker.start()
        let ledger = Ledger()
        try await Self.makeTopic(broker)
        let producer = try Producer(Self.producerConfiguration(broker))
        let consumers = try (0..<2).map { _ in try Consumer(Self.consumerConfiguration(broker)) }

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await Self.produce(producer, ledger) }
            for consumer in consumers { group.addTask { try await Self.consume(consumer, ledger) } }
            group.addTask {
                for kill in 1...Self.kills {
                    await ledger.waitForAcknowledged(kill * 150 + Int.random(in: 0..<100))
                    broker.kill()
                    try broker.start()
                }
                ledger.stopProducing()
            }
            do {
                try await group.waitForAll()
            } catch {
                ledger.abandon()
                group.cancelAll()
                throw error
            }
        }
        await producer.close()
        for consumer in consumers { await consumer.close() }
        try await Self.checkLog(broker, ledger)
        #expect(ledger.faults == [])
        #expect(broker.stop() == 0)
    }

    private static func makeTopic(_ broker: BrokerProcess) async throws {
        let admin = try Admin(client(broker))
        let refused = try await admin.create([NewTopic(topic, partitions: Int(partitions))])
        await admin.close()
        #expect(refused.isEmpty)
    }

    private static func client(_ broker: BrokerProcess) -> ClientConfiguration {
        var client = ClientConfiguration(brokers: ["127.0.0.1:\(broker.port)"])
        // A broker that is back is found at once, however often it was away before.
        client.extra = ["reconnect.backoff.ms": "10", "reconnect.backoff.max.ms": "50"]
        return client
    }

    private static func producerConfiguration(_ broker: BrokerProcess) -> ProducerConfiguration {
        var configuration = ProducerConfiguration(client(broker))
        configuration.linger = .milliseconds(1)
        return configuration
    }

    private static func consumerConfiguration(_ broker: BrokerProcess) -> ConsumerConfiguration {
        var configuration = ConsumerConfiguration(client(broker), group: "readers")
        configuration.fetchWait = .milliseconds(50)
        return configuration
    }

    /// Sends numbers to each partition, a few at a time, until told to stop; every one must be acknowledged.
    private static func produce(_ producer: Producer, _ ledger: Ledger) async throws {
        var number = 0
        while ledger.isProducing {
            let batch = OutgoingBatch(
                (0..<20).map { index in
                    OutgoingRecord(
                        topic: topic, partition: Partition(Int32(index) % partitions),
                        value: Array("\(number + index / Int(partitions))".utf8))
                })
            let first = number
            number += 20 / Int(partitions)
            let report = try await producer.send(batch)
            for (index, outcome) in report.enumerated() {
                let delivery = try outcome.get()
                ledger.acknowledged(first + index / Int(partitions), delivery)
            }
        }
        ledger.everythingIsSent()
    }

    /// Reads, notes what came, and commits each batch before it asks for the next.
    private static func consume(_ consumer: Consumer, _ ledger: Ledger) async throws {
        try await consumer.subscribe([topic])
        var mine: [Partition: Offset] = [:]
        while !ledger.isAllConsumed {
            guard let event = try await consumer.next(within: .milliseconds(200)) else { continue }
            switch event {
            case .assigned(let places): for place in places { mine[place.partition] = nil }
            case .records(let batch):
                for record in batch {
                    ledger.consumed(record, after: mine[record.partition])
                    mine[record.partition] = record.offset
                }
                let offsets = mine.map { PartitionOffset(TopicPartition(topic, $0.key), $0.value.next) }
                do {
                    try await consumer.commit(offsets)
                    ledger.committed(offsets)
                } catch let fault {
                    // The broker was killed, or the group goes on without us: then somebody reads it again.
                    guard fault.isRetriable || fault.kind == .rebalancing || fault.kind == .fenced else { throw fault }
                }
            case .revoked(let revocation):
                for place in revocation.partitions { mine[place.partition] = nil }
                revocation.done()
            case .lost(let places): for place in places { mine[place.partition] = nil }
            case .end: break
            case .fault(let fault): if fault.isFatal { throw fault }
            }
        }
    }

    /// Reads every partition from its beginning, apart from any group.
    private static func checkLog(_ broker: BrokerProcess, _ ledger: Ledger) async throws {
        var configuration = consumerConfiguration(broker)
        configuration.group = "check"
        let consumer = try Consumer(configuration)
        var found: [Partition: [String]] = [:]
        do {
            let places = (0..<partitions).map { TopicPartition(topic, Partition($0)) }
            var missing: [TopicPartition: Offset] = [:]
            for place in places { missing[place] = try await consumer.watermarks(place).high }
            try await consumer.assign(Dictionary(uniqueKeysWithValues: places.map { ($0, .earliest) }))
            while !missing.isEmpty {
                guard case .records(let batch) = try await consumer.next() else { continue }
                for record in batch {
                    found[record.partition, default: []].append(
                        String(decoding: record.valueBytes ?? [], as: UTF8.self))
                    if record.offset.next == missing[record.topicPartition] { missing[record.topicPartition] = nil }
                }
            }
            await consumer.close()
        } catch {
            await consumer.close()
            throw error
        }
        for partition in (0..<partitions).map({ Partition($0) }) {
            // Every number once, in order: so none is lost, repeated or overtaken.
            let expected = (0..<ledger.acknowledgedCount(partition)).map { "\($0)" }
            #expect(found[partition] ?? [] == expected, "partition \(partition)")
        }
    }
}
