import Contracts
import Edge
import Glibc
import HTTP
import JSON
import Kafka
import LocalBroker
import Platform
import Redis
import Synchronization
import TestSupport
import Testing

/// An edge of this process with a broker of its own.
final class EdgeSite: Sendable {
    let edge: EdgeServer
    private let folder: TemporaryFolder
    private let broker: Mutex<Broker?>
    private let endpoint: Endpoint

    static let log = Log(level: .error, format: .text)
    static let partitions = 2

    static func with(
        redis: RedisClient? = nil, _ change: (inout EdgeConfiguration) -> Void = { _ in },
        _ body: (EdgeSite) async throws -> Void
    ) async throws {
        let site = try await EdgeSite(redis, change)
        do {
            try await body(site)
            await site.end()
        } catch {
            await site.end()
            throw error
        }
    }

    private init(_ redis: RedisClient?, _ change: (inout EdgeConfiguration) -> Void) async throws {
        folder = TemporaryFolder()
        let broker = try Self.startAnywhere(folder)
        endpoint = broker.endpoint
        self.broker = Mutex(broker)
        var configuration = EdgeConfiguration(TopicCatalog(topics: try Self.topics()))
        // A crowded machine is no outage: tests of outages have less patience.
        configuration.http.answerTimeout = .seconds(60)
        change(&configuration)
        let client = ClientConfiguration(brokers: ["127.0.0.1:\(endpoint.port)"])
        let admin = try Admin(client)
        _ = try await admin.create(
            configuration.catalog.topics.map { topic in
                let settings = ["small", "narrow"].contains(topic.name) ? ["max.message.bytes": "20000"] : [:]
                return NewTopic(topic.name, partitions: Self.partitions, settings: settings)
            })
        await admin.close()
        edge = try await EdgeServer(configuration, client: client, redis: redis, admin: ("127.0.0.1", 0), log: Self.log)
    }

    /// On a port that no outgoing connection gets, so that it is free when the broker comes back.
    private static func startAnywhere(_ folder: TemporaryFolder) throws -> Broker {
        for _ in 0..<50 {
            let endpoint = Endpoint("127.0.0.1:\(Int.random(in: 10_000..<30_000))")
            if let broker = try? start(folder, endpoint) { return broker }
        }
        return try start(folder, Endpoint("127.0.0.1:0"))
    }

    private static func start(_ folder: TemporaryFolder, _ listen: Endpoint?) throws -> Broker {
        var configuration = BrokerConfiguration(dataFolder: folder.path)
        if let listen { configuration.listen = listen }
        configuration.durability = .never
        return try Broker.start(configuration, log: log)
    }

    private static func topics() throws -> [Topic] {
        var raw = Topic("events.raw")
        raw.publish = .yes
        var orders = Topic("orders")
        orders.publish = .validated
        orders.schema = try Schema(Array(orderSchema.utf8), file: "order.json")
        // The broker takes less of both than of others, and of one the edge knows it.
        var (small, narrow) = (Topic("small"), Topic("narrow"))
        (small.publish, narrow.publish) = (.yes, .yes)
        small.maxMessageBytes = 20_000
        return [raw, orders, small, narrow, Topic("inner")]
    }

    private static let orderSchema = """
        {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://example.org/order/1","type":"object",
        "required":["value"],"properties":{"event_type":{"const":"order.created"},
        "value":{"type":"number","minimum":0}}}
        """

    func stopBroker() throws {
        try broker.withLock { broker in
            try broker?.stop()
            broker = nil
        }
    }

    func startBroker() throws {
        try broker.withLock { broker in
            if broker == nil { broker = try Self.start(folder, endpoint) }
        }
    }

    /// A copy of all that the broker has on its disk. The broker is to be stopped.
    func copyDisk() -> TemporaryFolder {
        let copy = TemporaryFolder()
        Self.copy(folder, to: copy)
        return copy
    }

    /// Brings a copy back.
    func restoreDisk(_ kept: TemporaryFolder) { Self.copy(kept, to: folder) }

    private static func copy(_ one: TemporaryFolder, to other: TemporaryFolder) {
        let status = unsafe system("rm -rf '\(other.path)' && cp -a '\(one.path)' '\(other.path)'")
        #expect(status == 0)
    }

    private func end() async {
        await edge.stop()
        try? stopBroker()
    }

    func client() throws -> RawHTTPClient { try RawHTTPClient(port: edge.port) }

    /// A number that /metrics tells.
    func metric(_ name: String) async throws -> Int {
        let text = try await RawHTTPClient(port: edge.adminPort ?? 0).ask("GET", "/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { $0.split(separator: " ").last.flatMap { Double($0) } }.map { Int($0) } ?? 0
    }

    /// Everything in a topic, up to its partitions' ends, once it has so many records; or what there is when the time is over.
    func read(_ topic: TopicName, count: Int) async throws -> [Record] {
        var reading = ConsumerConfiguration(
            ClientConfiguration(brokers: ["127.0.0.1:\(endpoint.port)"]), group: GroupID("reader"))
        reading.tellsEnds = true
        let consumer = try Consumer(reading)
        var records: [Record] = []
        // What is there besides the records that were waited for is read too: a repeat, say.
        var ended: Set<TopicPartition> = []
        do {
            try await consumer.assign(
                Dictionary(
                    uniqueKeysWithValues: (0..<Self.partitions).map {
                        (TopicPartition(topic, Partition(Int32($0))), Consumer.StartingPoint.earliest)
                    }))
            let clock = ContinuousClock()
            let end = clock.now + .seconds(30)
            while records.count < count || ended.count < Self.partitions, clock.now < end {
                for event in try await consumer.nextAll(within: .milliseconds(200)) {
                    switch event {
                    case .records(let batch): records += batch
                    case .end(let place, _): ended.insert(place)
                    case .assigned, .revoked, .lost, .fault: break
                    }
                }
            }
        } catch {
            await consumer.close()
            throw error
        }
        await consumer.close()
        return records
    }
}

extension RawHTTPClient {
    /// Publishes a body of a type.
    func publish(
        _ type: String, _ body: String, to path: String = "/v1/events", _ headers: [(String, String)] = []
    ) async throws -> Answer {
        try await ask("POST", path, [("Content-Type", type)] + headers, body: body.utf8)
    }
}

extension RawHTTPClient.Answer {
    var json: JSONValue { get throws { try JSONDocument(parsing: body).root } }
}

extension Record {
    var text: String { String(decoding: valueBytes ?? [], as: UTF8.self) }

    func text(_ header: String) -> String? {
        guard case .some(.some(let bytes)) = lastHeader(header) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension TemporaryFolder {
    /// Puts a text in a file's place; nil takes the file away.
    func replace(_ name: String, _ text: String?) throws {
        let place = path + "/" + name
        unsafe unlink(place)
        if let text { try Files.create(place, text) }
    }
}
