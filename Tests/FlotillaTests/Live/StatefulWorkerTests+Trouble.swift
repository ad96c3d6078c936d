import Contracts
import Flotilla
import Kafka
import Model
import Platform
import Postgres
import Redis
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

    enum Loss: CaseIterable {
        /// Another owner was here meanwhile: two workers that both think the partition theirs.
        case takenOver
        /// Redis was killed before it had written the claim down.
        case forgotten
    }

    /// A claim that is gone when its event is applied: the event is done all the same, and a repeat behind it finds that.
    @Test(arguments: Loss.allCases) func whatIsAppliedIsRememberedThoughItsClaimIsGone(_ loss: Loss) async throws {
        let server = try RedisServer()
        let client = try RedisClient(try RedisConfiguration(url: server.url))
        defer { client.close() }
        let memory = RedisOnceMemory(
            client, handler: "totals", namespace: Namespace(), ttl: .seconds(1200), lease: .seconds(40))
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy, partitions: 1)
            let handler = Totals(before: { events in
                guard events.contains(where: { $0.id == "id-1" }) else { return }
                switch loss {
                case .takenOver: _ = try await memory.takeOver(TopicPartition("amounts", 0))
                case .forgotten: _ = try await client.execute(RedisCommand("FLUSHALL"))
                }
            })
            try await withStore { store, pool in
                try await fleet.withWorker(
                    .stateful(handler), ["amounts": policy], once: OnceGate(memory, onStoreDown: .pause), store: store
                ) { worker in
                    try await fleet.publish("amounts", [event(1, "5")])
                    try await waitUntil { worker.figures.done == 1 && worker.outstanding == 0 }
                    try await fleet.publish("amounts", [event(1, "5"), event(2, "100")])
                    try await waitUntil { try await totals(pool).values.reduce(0, +) >= 100 && worker.outstanding == 0 }
                }
                #expect(try await totals(pool).values.reduce(0, +) == 105)
            }
        }
    }

    /// A predecessor that does not know yet that it lost the partition takes it over once more. It will hear of it; the
    /// partition must not stand still until then, or for ever.
    @Test func whoeverIsFencedAndKeepsThePartitionGoesOn() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            try await withStore { store, pool in
                var handler = Totals()
                handler.ticks = true
                try await fleet.withWorker(.stateful(handler), ["amounts": policy], store: store) { worker in
                    for round in 0..<2 {
                        try await fleet.publish("amounts", (0..<20).map { event(round * 20 + $0, "1") })
                        try await waitUntil {
                            try await totals(pool).values.reduce(0, +) == Int64(20 * round + 20)
                                && worker.outstanding == 0
                        }
                        for partition in 0..<2 {
                            _ = try await store.take(TopicPartition("amounts", Partition(Int32(partition))))
                        }
                    }
                    let count = try await ticks(pool)
                    try await waitUntil { try await ticks(pool) > count + 2 }
                }
                #expect(try await totals(pool).values.reduce(0, +) == 40)
            }
        }
    }

    private func ticks(_ pool: PostgresPool) async throws -> Int {
        try await pool.transaction { try await $0.query("SELECT count(*) AS n FROM ticks")[0] }.value("n")
    }

    /// A database of its own that can be frozen, and a store on it that is as patient as is said.
    private func withServer(
        _ change: (inout PostgresConfiguration) -> Void,
        _ body: (PostgresServer, StateStore, PostgresPool) async throws -> Void
    ) async throws {
        let server = try PostgresServer()
        var configuration = try PostgresConfiguration(url: try server.database())
        configuration.schema = "totals"
        let plain = try PostgresPool(configuration)
        change(&configuration)
        let pool = try PostgresPool(configuration)
        defer {
            server.goOn()
            pool.close()
            plain.close()
        }
        try await StateStore(plain, worker: "setup").prepare(Totals().migrations)
        try await body(server, StateStore(pool, worker: "test"), plain)
    }

    /// Each call waits for Postgres longer than it may take, and no event is to blame.
    @Test func aDatabaseThatHangsMakesNoDeadLetters() async throws {
        try await withServer {
            $0.statementTimeout = .seconds(4)
            $0.connectTimeout = .seconds(1)
            $0.leaseTimeout = .seconds(2)
        } _: { server, store, pool in
            try await Fleet.with { fleet in
                var policy = policy
                policy.deadline = .seconds(2)
                policy.retry.inProcess = 1
                policy.breaker.failures = 2
                policy.breaker.cooldown = .milliseconds(200)
                try await fleet.makeTopics("amounts", policy)
                var handler = Totals()
                handler.asks = true
                try await fleet.withWorker(.stateful(handler), ["amounts": policy], store: store) { worker in
                    try await fleet.publish("amounts", (0..<20).map { event($0, "1") })
                    try await waitUntil { worker.figures.done == 20 }
                    server.freeze()
                    try await fleet.publish("amounts", (20..<40).map { event($0, "1") })
                    try await waitUntil { worker.broken == ["postgres"] }
                    server.goOn()
                    try await waitUntil { worker.outstanding == 0 && worker.broken.isEmpty }
                    #expect(worker.figures.deadLettered == 0)
                }
                #expect(try await totals(pool).values.reduce(0, +) == 40)
            }
        }
    }

    /// What waits for Postgres is let go when the time to drain is over: before the partition is taken over, and at a
    /// commit.
    @Test(arguments: [false, true]) func aDatabaseThatHangsKeepsNobodyFromStopping(_ isAtCommit: Bool) async throws {
        try await withServer {
            $0.statementTimeout = .seconds(3600)
            $0.leaseTimeout = .seconds(3600)
        } _: { server, store, pool in
            // Let its connections come up first.
            _ = try await store.take(TopicPartition("elsewhere", 0))
            try await Fleet.with { fleet in
                try await fleet.makeTopics("amounts", policy)
                try await fleet.publish("amounts", (0..<20).map { event($0, "1") })
                var settings = WorkerSettings()
                settings.drainBudget = .milliseconds(300)
                if !isAtCommit { server.freeze() }
                let handler = Totals { _ in if isAtCommit { server.freeze() } }
                let isOver = Atomic<Bool>(false)
                let task = Task { [settings, policy] in
                    try await fleet.withWorker(
                        .stateful(handler), ["amounts": policy], store: store, settings: settings
                    ) { worker in try await waitUntil { worker.outstanding == 20 } }
                    isOver.store(true, ordering: .relaxed)
                }
                do {
                    try await waitUntil { isOver.load(ordering: .relaxed) }
                } catch {
                    server.goOn()
                    pool.close()
                    _ = await task.result
                    throw error
                }
                try await task.value
            }
        }
    }

    /// The same for a log that takes records and says nothing of them.
    @Test(arguments: [false, true]) func aLogThatTakesNothingKeepsNobodyFromStopping(_ hasState: Bool) async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            try await fleet.publish("amounts", (0..<20).map { event($0, "1") })
            try await withStore { store, pool in
                var settings = WorkerSettings()
                settings.drainBudget = .milliseconds(300)
                let plain = TestHandler("totals") { event, _ in
                    [Outgoing(to: "counted", from: event, json: Array("{}".utf8))]
                }
                let sink = HeldSink(fleet.producer)
                let isOver = Atomic<Bool>(false)
                let task = Task { [settings, policy] in
                    try await fleet.withWorker(
                        hasState ? .stateful(Totals()) : .events(plain), ["amounts": policy],
                        store: hasState ? store : nil, sink: sink, settings: settings
                    ) { _ in try await waitUntil { sink.held > 0 } }
                    isOver.store(true, ordering: .relaxed)
                }
                do {
                    try await waitUntil { isOver.load(ordering: .relaxed) }
                } catch {
                    sink.letGo()
                    _ = await task.result
                    throw error
                }
                try await task.value
                sink.letGo()
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

    /// However long the log takes nothing, only so much is on its way to it.
    @Test func timersWaitForALogThatTakesNothing() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy, partitions: 1)
            try await withStore { store, pool in
                var handler = Totals()
                handler.ticks = true
                let sink = HeldSink(fleet.producer)
                let clock = HastyClock()
                try await fleet.withWorker(
                    .stateful(handler), ["amounts": policy], store: store, sink: sink, clock: clock
                ) { worker in
                    try await waitUntil { sink.held >= 2 }
                    // Time for a hundred ticks.
                    let end = clock.monotonicMilliseconds + 100_000
                    while clock.monotonicMilliseconds < end, sink.held < 20 {
                        try await Task.sleep(for: .milliseconds(5))
                    }
                    #expect(sink.held <= 5)
                    sink.letGo()
                    let count = try await ticks(pool)
                    try await waitUntil { try await ticks(pool) > count + 10 }
                }
            }
        }
    }

    /// A dead letter that no topic takes stops its partition; it is no fault of the events behind it.
    @Test func aDeadLetterThatDoesNotFitTakesNobodyWithIt() async throws {
        try await Fleet.with { fleet in
            var policy = policy
            policy.breaker.failures = 1
            policy.breaker.cooldown = .milliseconds(100)
            try await fleet.makeTopics("amounts", policy, partitions: 1)
            try await fleet.publish("amounts", [event(0, "1")])
            let large = OutgoingRecord(
                topic: "amounts", key: Array(repeating: 7, count: 100_000), value: Array("no event".utf8))
            try #require(try await fleet.producer.send(OutgoingBatch([large])).isAllDelivered)
            try await fleet.publish("amounts", (2..<10).map { event($0, "1") })
            try await withStore { store, pool in
                try await fleet.withWorker(
                    .stateful(Totals()), ["amounts": policy], store: store, largest: ["amounts": 1024]
                ) { worker in
                    try await waitUntil { fleet.lines.contains { $0.contains("a dead letter cannot be written") } }
                    #expect(worker.figures.deadLettered == 0)
                    #expect(worker.outstanding == 9)
                }
                #expect(try await totals(pool).values.reduce(0, +) == 1)
                // It is tried again every five seconds, and not while the worker leaves.
                #expect(fleet.lines.count { $0.contains("a dead letter cannot be written") } < 20)
                // With room for it everything goes on.
                try await fleet.withWorker(.stateful(Totals()), ["amounts": policy], store: store) { worker in
                    try await waitUntil { try await totals(pool).values.reduce(0, +) == 9 && worker.outstanding == 0 }
                    #expect(worker.figures.deadLettered == 1)
                }
            }
        }
    }
}

/// Takes records and keeps them, until it lets go of all.
final class HeldSink: RecordSink {
    private let producer: Producer
    private let state = Mutex<(held: [@Sendable () -> Void], isOpen: Bool)>(([], false))

    init(_ producer: Producer) { self.producer = producer }

    var held: Int { state.withLock { $0.held.count } }

    func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        let isOpen = state.withLock { state in
            if !state.isOpen {
                state.held.append { [producer] in try? producer.enqueue(batch, completion: completion) }
            }
            return state.isOpen
        }
        if isOpen { try producer.enqueue(batch, completion: completion) }
    }

    func letGo() {
        let held = state.withLock { state in
            defer { state = ([], true) }
            return state.held
        }
        for one in held { one() }
    }
}

/// The machine's clock, fifty times as fast.
private struct HastyClock: WorkerClock {
    var monotonicMilliseconds: Int64 { Time.monotonicMilliseconds * 50 }
    var wallMilliseconds: Int64 { Time.wallMilliseconds }

    func sleep(until milliseconds: Int64) async {
        let wait = (milliseconds - monotonicMilliseconds) / 50
        guard wait >= 0 else { return }
        try? await Task.sleep(for: .milliseconds(wait + 1))
    }
}

private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }
}
