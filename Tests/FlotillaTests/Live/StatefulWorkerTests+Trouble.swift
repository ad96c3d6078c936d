import Contracts
import Flotilla
import Kafka
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import Testing

// What happens at night: somebody else has a claim, a predecessor wakes up, Postgres hangs, the broker takes nothing.
extension StatefulWorkerTests {
    /// What is behind an event that has to wait waits with it. Were it passed, the position would be behind the event, and
    /// the event would count as applied.
    @Test func nothingPassesAnEventThatSomebodyElseIsAtWorkOn() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy, partitions: 1)
            let time = Atomic<Int64>(0)
            let memory = InMemoryOnceMemory(lease: .milliseconds(200)) { time.load(ordering: .relaxed) }
            try await fleet.publish("amounts", [event(0, "1"), event(1, "10")])
            try #require(
                try await fleet.producer.send(
                    OutgoingBatch([OutgoingRecord(topic: "amounts", key: nil, value: Array("no event".utf8))])
                ).isAllDelivered)
            try await fleet.publish("amounts", [event(3, "100")])
            // The same event came by another way, and is being worked on there.
            let first = try #require(
                try await fleet.read("amounts", partitions: 1, count: 4).first { $0.text("ce_id") == "id-1" })
            let key = OnceKey(try Event(first), Digest(.sha256))
            let other = try await memory.takeOver(TopicPartition("elsewhere", 0))
            _ = try await memory.claim([OnceClaim(key)], owner: other)
            try await withStore { store, pool in
                try await fleet.withWorker(
                    .stateful(Totals()), ["amounts": policy], once: OnceGate(memory, onStoreDown: .pause), store: store
                ) { worker in
                    try await waitUntil { try await totals(pool).values.reduce(0, +) >= 1 }
                    time.store(1000, ordering: .relaxed)
                    try await waitUntil { worker.outstanding == 0 }
                }
                #expect(try await totals(pool).values.reduce(0, +) == 111)
            }
        }
    }

    /// SIGTERM while the database is away is no error.
    @Test func whoWaitsForTheDatabaseCanBeStopped() async throws {
        let server = try PostgresServer()
        let url = try server.database()
        server.kill()
        let lines = Lines()
        var policy = policy
        policy.once.ttl = nil
        let handler = AnyHandler.stateful(Totals())
        let settings = try WorkSettings(
            Settings(["KAFKA_BROKERS": "127.0.0.1:1", "DATABASE_URL": url]), handlers: [handler])
        let log = Log(level: .info, format: .text) { line in lines.add(line) }
        let process = WorkerProcess(
            [handler], settings, policies: ["totals": ["amounts": policy]], log: log, build: "test")
        let running = Task { try await process.run() }
        try await waitUntil { lines.all.contains { $0.contains("waiting for the database") } }
        process.stop()
        try await running.value
    }
}

private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }
}
