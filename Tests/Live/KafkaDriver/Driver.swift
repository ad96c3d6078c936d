import Foundation
import Kafka

/// The clients that commands have opened, by handle, and which command does what.
final class Driver {
    let address: String
    private var producers: [Int: Producer] = [:]
    private var consumers: [Int: Consumer] = [:]
    private var admins: [Int: Admin] = [:]
    private var last = 0

    init(address: String) { self.address = address }

    func perform(_ command: Arguments) async throws -> Any {
        let op: String = try command.get("op")
        switch op {
        case "version": return ["librdkafka": KafkaLibrary.version]
        case "producer_open":
            last += 1
            producers[last] = try Producer(producerConfiguration(command))
            return ["handle": last]
        case "consumer_open":
            last += 1
            consumers[last] = try Consumer(consumerConfiguration(command))
            return ["handle": last]
        case "admin_open":
            last += 1
            admins[last] = try Admin(client(command))
            return ["handle": last]
        case _: break
        }
        let handle = command.optional("handle", Int.self) ?? 0
        if let producer = producers[handle] {
            if op == "producer_close" { producers[handle] = nil }
            return try await produce(op, command, producer)
        }
        if let consumer = consumers[handle] {
            if op == "consumer_close" { consumers[handle] = nil }
            return try await consume(op, command, consumer)
        }
        if let admin = admins[handle] {
            if op == "admin_close" { admins[handle] = nil }
            return try await administer(op, command, admin)
        }
        throw Arguments.Malformed(description: "\(op): no such handle")
    }

    func closeAll() async {
        for producer in producers.values { await producer.close() }
        for consumer in consumers.values { await consumer.close() }
        for admin in admins.values { await admin.close() }
    }

    // MARK: Configurations

    private func client(_ command: Arguments) -> ClientConfiguration {
        let config = command.object("config")
        var client = ClientConfiguration(
            brokers: (config.optional("bootstrap") ?? address).split(separator: ",").map(String.init))
        client.extra = config.optional("extra") ?? [:]
        if let id: String = config.optional("client_id") { client.clientID = id }
        return client
    }

    private func producerConfiguration(_ command: Arguments) throws -> ProducerConfiguration {
        let config = command.object("config")
        var producer = ProducerConfiguration(client(command))
        if let linger: Int = config.optional("linger_ms") { producer.linger = .milliseconds(linger) }
        if let timeout: Int = config.optional("delivery_timeout_ms") {
            producer.deliveryTimeout = .milliseconds(timeout)
        }
        if let bytes: Int = config.optional("message_max_bytes") { producer.maxRecordBytes = bytes }
        switch config.optional("compression", String.self) ?? "none" {
        case "none": producer.compression = .none
        case "gzip": producer.compression = .gzip
        case "snappy": producer.compression = .snappy
        case "lz4": producer.compression = .lz4
        case "zstd": producer.compression = .zstd
        case let other: throw Arguments.Malformed(description: "compression: \(other)")
        }
        return producer
    }

    private func consumerConfiguration(_ command: Arguments) throws -> ConsumerConfiguration {
        let config = command.object("config")
        var consumer = ConsumerConfiguration(client(command), group: GroupID(try command.get("group", String.self)))
        if let timeout: Int = config.optional("session_timeout_ms") { consumer.sessionTimeout = .milliseconds(timeout) }
        if let wait: Int = config.optional("fetch_wait_max_ms") { consumer.fetchWait = .milliseconds(wait) }
        switch config.optional("strategy", String.self) ?? "range" {
        case "range": consumer.strategy = .range
        case "roundrobin": consumer.strategy = .roundRobin
        case "cooperative-sticky": consumer.strategy = .cooperativeSticky
        case let other: throw Arguments.Malformed(description: "strategy: \(other)")
        }
        switch config.optional("auto_offset_reset", String.self) ?? "earliest" {
        case "earliest": consumer.start = .earliest
        case "latest": consumer.start = .latest
        case "error", "none": consumer.start = .fault
        case let other: throw Arguments.Malformed(description: "auto_offset_reset: \(other)")
        }
        return consumer
    }
}
