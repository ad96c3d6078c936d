import Kafka
import MockCluster
import Synchronization
import Testing

/// A cluster with one topic, for one test.
struct Fixture {
    let cluster: MockCluster
    let topic = TopicName("events")

    init(partitions: Int = 1, brokers: Int = 1) throws {
        cluster = try MockCluster(brokers: brokers)
        try cluster.create(topic.rawValue, partitions: partitions)
    }

    var client: ClientConfiguration { ClientConfiguration(brokers: cluster.brokers) }

    func place(_ partition: Int32) -> TopicPartition { TopicPartition(topic, Partition(partition)) }

    /// Runs `body` with a producer and closes it.
    func withProducer<Result>(
        _ change: (inout ProducerConfiguration) -> Void = { _ in }, _ body: (Producer) async throws -> Result
    ) async throws -> Result {
        var configuration = ProducerConfiguration(client)
        configuration.linger = .milliseconds(1)
        change(&configuration)
        let producer = try Producer(configuration)
        do {
            let result = try await body(producer)
            await producer.close()
            return result
        } catch {
            await producer.close()
            throw error
        }
    }

    /// Runs `body` with a consumer and closes it.
    func withConsumer<Result>(
        group: GroupID = "readers", _ change: (inout ConsumerConfiguration) -> Void = { _ in },
        _ body: (Consumer) async throws -> Result
    ) async throws -> Result {
        var configuration = ConsumerConfiguration(client, group: group)
        configuration.fetchWait = .milliseconds(50)
        // Members hear of a rebalance with a heartbeat, so these come often.
        configuration.sessionTimeout = .seconds(3)
        change(&configuration)
        let consumer = try Consumer(configuration)
        do {
            let result = try await body(consumer)
            await consumer.close()
            return result
        } catch {
            await consumer.close()
            throw error
        }
    }

    /// Publishes `count` records to a partition, with their numbers as values.
    func fill(_ partition: Int32 = 0, from first: Int = 0, count: Int) async throws {
        let records = (first..<first + count).map { number in
            OutgoingRecord(topic: topic, partition: Partition(partition), value: Array("\(number)".utf8))
        }
        try await withProducer { producer in
            let report = try await producer.send(OutgoingBatch(records))
            #expect(report.isAllDelivered)
        }
    }
}

extension Consumer {
    /// Reads until there are `count` records, answering what else comes.
    func records(_ count: Int, max: Int = 500) async throws -> [Record] {
        var records: [Record] = []
        while records.count < count {
            switch try await next(max: max) {
            case .records(let batch): records += batch
            case .revoked(let revocation): revocation.done()
            case .fault(let fault): throw fault
            case .assigned, .lost, .end: break
            }
        }
        return records
    }

    /// The next event that `pick` wants; others are answered and passed over.
    func event<Wanted>(_ pick: (ConsumerEvent) -> Wanted?) async throws -> Wanted {
        while true {
            let event = try await next()
            if let wanted = pick(event) { return wanted }
            if case .revoked(let revocation) = event { revocation.done() }
        }
    }
}

extension Record {
    var text: String? { valueBytes.flatMap { String(validating: $0, as: UTF8.self) } }
}

/// A value that completions of other threads write.
final class Box<Value: Sendable>: Sendable {
    private let kept: Mutex<Value>
    init(_ value: Value) { kept = Mutex(value) }
    var value: Value { kept.withLock { $0 } }
    func change(_ body: @Sendable (inout Value) -> Void) { kept.withLock { body(&$0) } }
}
