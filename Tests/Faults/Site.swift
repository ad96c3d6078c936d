import Contracts
import Flotilla
import Glibc
import Kafka
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

/// A broker, a Redis, a Postgres and workers of `Sink`, each a process of its own that can be killed.
final class Site: Sendable {
    static let partitions = 6
    let broker: BrokerProcess
    let redis: RedisServer
    let postgres: PostgresServer
    private let folder: TemporaryFolder
    private let database: String
    private let running = Mutex<[Int32]>([])

    /// `topics`: for each consumed topic its consumer, as the lines of a topic file.
    init(_ topics: [String: String]) async throws {
        folder = TemporaryFolder()
        broker = try BrokerProcess(folder: folder.path + "/broker")
        try broker.start()
        redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        postgres = try PostgresServer()
        database = try postgres.database()
        let files = folder.path + "/topics"
        unsafe mkdir(files, 0o755)
        for (name, lines) in topics {
            let text = "name: \(name)\nabout: for a test\npartitions: \(Self.partitions)\n\(lines)"
            guard let file = unsafe fopen("\(files)/\(name).yaml", "w") else {
                throw Child.Fault(what: "no topic file")
            }
            unsafe fputs(text, file)
            unsafe fclose(file)
        }
        let code = try Child.run(command(["topics", "apply"]), output: log)
        try #require(code == 0, "topics apply: \(said)")
    }

    /// What the workers said.
    var said: String {
        guard let file = unsafe fopen(log, "r") else { return "" }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        return unsafe String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }

    private var log: String { folder.path + "/workers.log" }

    var client: ClientConfiguration { ClientConfiguration(brokers: ["127.0.0.1:\(broker.port)"]) }

    // MARK: Workers

    private func command(_ words: [String]) -> [String] {
        let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return [
            "env", "KAFKA_BROKERS=127.0.0.1:\(broker.port)", "REDIS_URL=\(redis.url)", "DATABASE_URL=\(database)",
            "FLOTILLA_TOPICS=\(folder.path)/topics", "LOG_FORMAT=text", "\(root)/.build/debug/FaultSink",
        ] + words
    }

    func startWorker(_ handler: String) throws {
        let words = command(["work", handler])
        let pid = try Child.start(words[0], words, output: log)
        running.withLock { $0.append(pid) }
    }

    var workers: Int { running.withLock { $0.count } }

    /// kill -9 of the worker that has run longest.
    func killWorker() { end(SIGKILL) }

    /// SIGTERM to the worker that has run longest; its exit code.
    @discardableResult func stopWorker() -> Int32 { end(SIGTERM) }

    @discardableResult private func end(_ signal: Int32) -> Int32 {
        let pid = running.withLock { $0.isEmpty ? 0 : $0.removeFirst() }
        guard pid > 0 else { return -1 }
        kill(pid, signal)
        return Child.wait(pid)
    }

    /// The exit code, or minus the signal, of a worker that ended by itself; nil while all run.
    func reapWorker() -> Int32? {
        for pid in running.withLock({ $0 }) {
            guard let code = Child.ended(pid) else { continue }
            running.withLock { $0.removeAll { $0 == pid } }
            return code
        }
        return nil
    }

    func end() {
        while workers > 0 { killWorker() }
        broker.kill()
    }

    // MARK: Events

    /// Events by two callers, who both count their ids from 0, and each fourth of them sent a second time.
    func publish(_ topic: TopicName, _ numbers: Range<Int>, with producer: Producer, _ value: (Int) -> String)
        async throws
    {
        var batch = OutgoingBatch()
        for number in numbers {
            let again = number % 4 == 3 && number >= 100 ? [number, number - 100] : [number]
            for number in again {
                batch.append(
                    OutgoingRecord(
                        topic: topic, key: Array("key \(number % 300)".utf8), value: Array(value(number).utf8),
                        headers: [
                            Header("ce_specversion", "1.0"), Header("ce_id", "id \(number / 2)"),
                            Header("ce_source", number % 2 == 0 ? "/left" : "/right"), Header("ce_type", "made"),
                            Header("content-type", "application/json"),
                        ]))
            }
        }
        let report = try await producer.send(batch)
        try #require(report.isAllDelivered)
    }

    /// Reads a topic until `isEnough`.
    func read(_ topic: TopicName, until isEnough: (Record) -> Bool) async throws {
        let consumer = try Consumer(ConsumerConfiguration(client, group: "reader"))
        do {
            try await consumer.assign(
                Dictionary(
                    uniqueKeysWithValues: (0..<Int32(Self.partitions)).map {
                        (TopicPartition(topic, Partition($0)), Consumer.StartingPoint.earliest)
                    }))
            let end = ContinuousClock.now + .seconds(60)
            reading: while ContinuousClock.now < end {
                for event in try await consumer.nextAll(within: .milliseconds(200)) {
                    guard case .records(let batch) = event else { continue }
                    for record in batch where isEnough(record) { break reading }
                }
            }
        } catch {
            await consumer.close()
            throw error
        }
        await consumer.close()
    }

    /// A pool in the handler's schema.
    func pool() throws -> PostgresPool {
        var configuration = try PostgresConfiguration(url: database)
        configuration.schema = "sink"
        configuration.connections = 1
        return try PostgresPool(configuration)
    }
}
