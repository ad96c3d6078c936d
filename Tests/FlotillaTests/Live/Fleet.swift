import Contracts
import Flotilla
import Kafka
import LocalBroker
import Platform
import Synchronization
import TestSupport
import Testing

/// A broker of this process' own, topics for one handler, and workers that come and go.
final class Fleet: Sendable {
    let brokers: [String]
    let producer: Producer
    let log: Log
    private let broker: Broker
    private let folder: TemporaryFolder
    private let kept = Kept()

    private final class Kept: Sendable {
        let lines = Mutex<[String]>([])
    }

    /// What was logged as an error.
    var lines: [String] { kept.lines.withLock { $0 } }

    static func with<Result>(_ body: (Fleet) async throws -> Result) async throws -> Result {
        let fleet = try Fleet()
        do {
            let result = try await body(fleet)
            try await fleet.end()
            return result
        } catch {
            try? await fleet.end()
            throw error
        }
    }

    private init() throws {
        folder = TemporaryFolder()
        var configuration = BrokerConfiguration(dataFolder: folder.path)
        configuration.listen.port = 0
        configuration.durability = .never
        log = Log(level: .error, format: .text) { [kept] line in
            kept.lines.withLock { $0.append(line) }
            print(line, terminator: "")
        }
        broker = try Broker.start(configuration, log: log)
        brokers = ["127.0.0.1:\(broker.endpoint.port)"]
        var producing = ProducerConfiguration(ClientConfiguration(brokers: brokers))
        producing.linger = .milliseconds(1)
        producer = try Producer(producing)
    }

    private func end() async throws {
        await producer.close()
        try broker.stop()
    }

    /// Makes a handler's topics: what it reads, what is derived from that, and what it publishes to.
    func makeTopics(
        _ source: TopicName, _ policy: ConsumerPolicy, partitions: Int = 2, onlyFamily: Bool = false
    ) async throws {
        let family = TopicFamily(source, policy.handler)
        let names =
            [source, family.deadLetters, family.replay] + policy.retry.tiers.map { family.retry($0.description) }
            + (onlyFamily ? [] : [.outcomes] + policy.produces)
        let admin = try Admin(ClientConfiguration(brokers: brokers))
        _ = try await admin.create(names.map { NewTopic($0, partitions: partitions) })
        await admin.close()
    }

    /// Runs a worker while `body` runs, and stops it in order.
    func withWorker<Result>(
        _ handler: AnyHandler, _ policies: [TopicName: ConsumerPolicy], once: OnceGate? = nil,
        store: StateStore? = nil, sink: (any RecordSink)? = nil, clock: any WorkerClock = SystemClock(),
        largest: [TopicName: Int] = [:], settings: WorkerSettings = WorkerSettings(),
        _ body: (HandlerWorker) async throws -> Result
    ) async throws -> Result {
        var consuming = ConsumerConfiguration(
            ClientConfiguration(brokers: brokers), group: Namespace().group(handler.name))
        consuming.fetchWait = .milliseconds(50)
        consuming.sessionTimeout = .seconds(6)
        let worker = HandlerWorker(
            HandlerJob(handler, namespace: Namespace(), policies: policies, largest: largest),
            source: try Consumer(consuming), sink: sink ?? producer, once: once, store: store, clock: clock, log: log,
            identity: WorkerIdentity(id: "test", build: "test"), settings: settings)
        let running = Task { try await worker.run() }
        do {
            let result = try await body(worker)
            worker.stop()
            try await running.value
            return result
        } catch {
            worker.stop()
            _ = await running.result
            throw error
        }
    }

    func publish(_ topic: TopicName, _ events: [(id: String, key: String?, value: String)]) async throws {
        let report = try await producer.send(
            OutgoingBatch(
                events.map { event in
                    OutgoingRecord(
                        topic: topic, key: event.key.map { Array($0.utf8) }, value: Array(event.value.utf8),
                        headers: [
                            Header("ce_specversion", "1.0"), Header("ce_id", event.id), Header("ce_source", "/test"),
                            Header("ce_type", "test.made"), Header("content-type", "application/json"),
                        ])
                }))
        try #require(report.isAllDelivered)
    }

    /// Everything in a topic once it has so many records, or what there is when the time is over.
    func read(_ topic: TopicName, partitions: Int = 2, count: Int, within limit: Duration = .seconds(30)) async throws
        -> [Record]
    {
        let consumer = try Consumer(
            ConsumerConfiguration(ClientConfiguration(brokers: brokers), group: GroupID("reader-\(topic)")))
        var records: [Record] = []
        do {
            try await consumer.assign(
                Dictionary(
                    uniqueKeysWithValues: (0..<partitions).map {
                        (TopicPartition(topic, Partition(Int32($0))), Consumer.StartingPoint.earliest)
                    }))
            let clock = ContinuousClock()
            let end = clock.now + limit
            while records.count < count, clock.now < end {
                for event in try await consumer.nextAll(within: .milliseconds(200)) {
                    if case .records(let batch) = event { records += batch }
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

/// A handler made of a closure.
struct TestHandler: Handler {
    let name: HandlerName
    let body: @Sendable (Event, Context) async throws -> [Outgoing]

    init(_ name: HandlerName, _ body: @escaping @Sendable (Event, Context) async throws -> [Outgoing]) {
        self.name = name
        self.body = body
    }

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] { try await body(event, context) }
}
