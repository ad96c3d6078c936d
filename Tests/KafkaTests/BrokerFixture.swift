import Kafka
import LocalBroker
import Platform
import TestSupport

/// Our own broker in this process, with a log in a temporary folder: for what librdkafka's mock cluster does not do.
struct BrokerFixture {
    let brokers: [String]

    var client: ClientConfiguration { ClientConfiguration(brokers: brokers) }

    static func with(_ body: (BrokerFixture) async throws -> Void) async throws {
        let folder = TemporaryFolder()
        var configuration = BrokerConfiguration(dataFolder: folder.path)
        configuration.listen.port = 0
        configuration.durability = .never
        let broker = try Broker.start(configuration, log: Log(level: .error, format: .text))
        do {
            try await body(BrokerFixture(brokers: ["127.0.0.1:\(broker.endpoint.port)"]))
            try broker.stop()
        } catch {
            try? broker.stop()
            throw error
        }
    }

    func withAdmin(_ body: (Admin) async throws -> Void) async throws {
        try await Admin.use(client, patience: .seconds(30), body)
    }

    func withConsumer(group: GroupID, _ body: (Consumer) async throws -> Void) async throws {
        let consumer = try Consumer(ConsumerConfiguration(client, group: group))
        do {
            try await body(consumer)
            await consumer.close()
        } catch {
            await consumer.close()
            throw error
        }
    }

    /// Publishes `count` records to partition 0 of a topic.
    func fill(_ topic: TopicName, count: Int, timestamp: Int64) async throws {
        let producer = try Producer(ProducerConfiguration(client))
        let records = (0..<count).map { number in
            OutgoingRecord(topic: topic, partition: 0, value: [UInt8(number)], timestamp: timestamp + Int64(number))
        }
        let report = try? await producer.send(OutgoingBatch(records))
        await producer.close()
        guard report?.isAllDelivered == true else { throw NotWritten() }
    }

    struct NotWritten: Error {}
}
