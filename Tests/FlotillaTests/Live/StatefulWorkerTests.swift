import AdminPort
import Contracts
import FlotillaTesting
import Kafka
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

@testable import Flotilla

/// Workers of a handler with state, against a real broker and a real Postgres.
///
/// The state increments and has no key that would keep it from counting twice: only positions do.
@Suite(.inTurns) struct StatefulWorkerTests {
    struct Totals: StatefulHandler {
        let name: HandlerName = "totals"
        var migrations: [Migration] {
            [
                Migration(
                    "1",
                    "CREATE TABLE totals (key text PRIMARY KEY, sum bigint NOT NULL); CREATE TABLE ticks (topic text, partition int)"
                )
            ]
        }
        var ticks = false
        /// Called with each batch before it is applied.
        var before: @Sendable ([Event]) async throws -> Void = { _ in }
        /// Whether it waits for an answer of Postgres before it returns.
        var asks = false

        func apply(
            _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
        ) async throws -> [Outgoing] {
            try await before(events)
            if asks { try await transaction.execute("SELECT 1") }
            var outputs: [Outgoing] = []
            for event in events {
                let value = try event.json()
                guard let amount = value["amount"]?.int64 else { throw Refusal.permanent("no amount") }
                transaction.later(
                    """
                    INSERT INTO totals VALUES (\(event.subject ?? "none"), \(amount))
                    ON CONFLICT (key) DO UPDATE SET sum = totals.sum + excluded.sum
                    """)
                outputs.append(Outgoing(to: "counted", from: event, json: Array("{\"amount\":\(amount)}".utf8)))
            }
            return outputs
        }

        func tick(
            _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
        ) async throws -> [Outgoing] {
            let made = try await transaction.query(
                "SELECT count(*) AS n FROM ticks WHERE topic = \(partition.topic.rawValue) AND partition = \(partition.partition.rawValue)"
            )[0]
            transaction.later("INSERT INTO ticks VALUES (\(partition.topic.rawValue), \(partition.partition.rawValue))")
            let revision: Int = try made.value("n")
            return [
                Outgoing(
                    to: "counted", named: "tick \(partition)", revision: revision, type: "tick", key: nil,
                    json: Array("{}".utf8))
            ]
        }
    }

    var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "totals")
        policy.ordering = .partition
        policy.retry.tiers = []
        policy.produces = ["counted"]
        return policy
    }

    /// A store on a new database of the shared server.
    func withStore<Result>(
        losing: (@Sendable () -> PostgresConfiguration.LostExchange?)? = nil,
        _ body: (StateStore, PostgresPool) async throws -> Result
    ) async throws -> Result {
        var configuration = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
        configuration.schema = "totals"
        configuration.connections = 3
        let plain = try PostgresPool(configuration)
        configuration.losing = losing
        let pool = try PostgresPool(configuration)
        defer {
            pool.close()
            plain.close()
        }
        let store = StateStore(plain, worker: "setup")
        try await store.prepare(Totals().migrations)
        return try await body(StateStore(pool, worker: "test"), plain)
    }

    func totals(_ pool: PostgresPool) async throws -> [String: Int64] {
        let rows = try await pool.transaction { try await $0.query("SELECT key, sum FROM totals") }
        return try Dictionary(uniqueKeysWithValues: rows.map { (try $0.value("key"), try $0.value("sum")) })
    }

    func waitUntil(_ condition: () async throws -> Bool) async throws {
        try await eventually(condition)
    }

    func event(_ number: Int, _ amount: String) -> (id: String, key: String?, value: String) {
        ("id-\(number)", "k\(number % 5)", "{\"amount\":\(amount)}")
    }

    @Test func effectsPositionsAndOutputsStandTogether() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            let events = (0..<3000).map { event($0, $0 % 100 == 7 ? "\"none\"" : "\($0)") }
            try await fleet.publish("amounts", events)
            // What is no event at all stands among them.
            for partition in 0..<2 {
                _ = try await fleet.producer.send(
                    OutgoingRecord(
                        topic: "amounts", partition: Partition(Int32(partition)), key: [0], value: [0xff, 0]))
            }
            try await withStore { store, pool in
                let letters = try await fleet.withWorker(.stateful(Totals()), ["amounts": policy], store: store) {
                    worker in
                    try await waitUntil { worker.figures.done == 2970 }
                    return try await fleet.read("amounts.totals.dlq", count: 32)
                }
                #expect(letters.count { $0.text("dlq-reason") == "permanent" } == 30)
                #expect(letters.count { $0.text("dlq-reason") == "undecodable" && $0.valueBytes == [0xff, 0] } == 2)
                #expect(letters.count == 32)
                let expected = (0..<3000).filter { $0 % 100 != 7 }.reduce(0, +)
                #expect(try await totals(pool).values.reduce(0, +) == Int64(expected))
                let outputs = try await fleet.read("counted", count: 2970)
                #expect(Set(outputs.compactMap { $0.text("ce_id") }).count == 2970)
                #expect(outputs.count == 2970)
                // Nothing is left to be published, and all is behind.
                let left = try await pool.transaction {
                    try await $0.query("SELECT count(*) AS n FROM flotilla_outbox")[0]
                }
                #expect(try left.value("n") == 0)
                let behind = try await pool.transaction {
                    try await $0.query(
                        "SELECT sum(next_offset)::bigint AS n FROM flotilla_positions WHERE topic = 'amounts'")[0]
                }
                #expect(try behind.value("n") == 3002)
            }
        }
    }

    /// The n-th exchange with Postgres is lost, before or after it was done, for every n there is.
    @Test(arguments: [PostgresConfiguration.LostExchange.question, .answer])
    func whateverExchangeIsLostTheSumsAreExact(_ lost: PostgresConfiguration.LostExchange) async throws {
        try await Fleet.with { fleet in
            for number in 1...60 {
                let topic = TopicName("amounts\(number)")
                var policy = policy
                // Every loss opens it, so that what was lost comes to light while a probe is out.
                policy.breaker.failures = 1
                policy.breaker.cooldown = .milliseconds(50)
                if number == 1 {
                    try await fleet.makeTopics(topic, policy)
                } else {
                    try await fleet.makeTopics(topic, policy, onlyFamily: true)
                }
                let events = (0..<40).map {
                    (
                        id: "\(number)-\($0)", key: Optional("k\($0 % 5)"),
                        value: "{\"amount\":\($0 == 9 ? "null" : "1")}"
                    )
                }
                try await fleet.publish(topic, Array(events[..<20]))
                let count = Atomic<Int>(0)
                let wasLost = Atomic<Bool>(false)
                try await withStore {
                    guard count.add(1, ordering: .relaxed).newValue == number else { return nil }
                    wasLost.store(true, ordering: .relaxed)
                    return lost
                } _: { store, pool in
                    try await fleet.withWorker(.stateful(Totals()), [topic: policy], store: store) { worker in
                        try await waitUntil { try await totals(pool).values.reduce(0, +) >= 19 }
                        try await fleet.publish(topic, Array(events[20...]))
                        try await waitUntil { try await totals(pool).values.reduce(0, +) >= 39 }
                        try await waitUntil { worker.outstanding == 0 }
                    }
                    #expect(try await totals(pool).values.reduce(0, +) == 39, "exchange \(number)")
                }
                let letters = try await fleet.read(TopicName("\(topic).totals.dlq"), count: 1)
                #expect(Set(letters.compactMap { $0.text("dlq-id") }).count == 1)
                guard wasLost.load(ordering: .relaxed) else {
                    #expect(number > 10, "the test lost too little")
                    let ids = Set(try await fleet.read("counted", count: 39 * number).compactMap { $0.text("ce_id") })
                    #expect(ids.count == 39 * number)
                    return
                }
            }
            Issue.record("a run has more exchanges than were lost")
        }
    }

    @Test func whoeverWasThoughtDeadChangesNothing() async throws {
        try await withStore { store, pool in
            let place = TopicPartition("amounts", 0)
            let (old, _) = try await store.take(place)
            let late = try await store.begin(old)
            let (new, _) = try await store.take(place)
            #expect(new.generation > old.generation)
            late.later("INSERT INTO totals VALUES ('late', 1)")
            let fault = await #expect(throws: PostgresFault.self) {
                _ = try await store.commit(late, old, next: 1, outputs: OutgoingBatch(), published: nil)
            }
            #expect(fault?.state == "FL001")
            let right = try await store.begin(new)
            right.later("INSERT INTO totals VALUES ('right', 1)")
            _ = try await store.commit(right, new, next: 1, outputs: OutgoingBatch(), published: nil)
            #expect(try await totals(pool) == ["right": 1])
        }
    }

    @Test func whatIsLeftInTheOutboxIsPublishedByTheNextOwner() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            try await fleet.publish("amounts", (0..<10).map { event($0, "1") })
            try await withStore { store, pool in
                // A predecessor that committed and ended before it published.
                let place = TopicPartition("amounts", 0)
                let (book, _) = try await store.take(place)
                let transaction = try await store.begin(book)
                let batch = OutgoingBatch([
                    OutgoingRecord(
                        topic: "counted", key: nil, value: Array("left".utf8),
                        headers: [Header("ce_id", "left-over"), Header("none", nil as [UInt8]?)], timestamp: 7),
                    OutgoingRecord(topic: "counted", partition: 1, key: [], value: nil),
                ])
                _ = try await store.commit(transaction, book, next: 0, outputs: batch, published: nil)
                let outputs = try await fleet.withWorker(.stateful(Totals()), ["amounts": policy], store: store) { _ in
                    try await fleet.read("counted", count: 12)
                }
                #expect(outputs.count == 12)
                let left = try #require(outputs.first { $0.text("ce_id") == "left-over" })
                #expect(left.valueBytes == Array("left".utf8))
                #expect(left.timestamp == 7)
                #expect(left.lastHeader("none") == .some(nil))
                #expect(outputs.contains { $0.partition == 1 && $0.keyBytes == [] && $0.valueBytes == nil })
                let rows = try await pool.transaction {
                    try await $0.query("SELECT count(*) AS n FROM flotilla_outbox")[0]
                }
                #expect(try rows.value("n") == 0)
            }
        }
    }

    @Test func aReplayIsAppliedOnceHoweverOftenItComes() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            let isMended = Atomic<Bool>(false)
            let handler = Totals { _ in
                if !isMended.load(ordering: .relaxed) { throw Refusal.permanent("not yet") }
            }
            try await fleet.publish("amounts", [event(1, "5")])
            try await withStore { store, pool in
                try await fleet.withWorker(.stateful(handler), ["amounts": policy], store: store) { worker in
                    let letter = try #require(try await fleet.read("amounts.totals.dlq", count: 1).first)
                    isMended.store(true, ordering: .relaxed)
                    // What a replay writes: the dead letter's record, with its coordinates.
                    for round in 1...3 {
                        let headers =
                            letter.headers.filter { !$0.name.hasPrefix("dlq-replay") }
                            + [Header("dlq-replays", "\(round)"), Header("dlq-replay-job", "job-\(round)")]
                        _ = try await fleet.producer.send(
                            OutgoingRecord(
                                topic: "amounts.totals.replay", partition: letter.partition, key: letter.keyBytes,
                                value: letter.valueBytes, headers: headers))
                    }
                    let outcomes = try await fleet.read("flotilla.outcomes", count: 3)
                    #expect(outcomes.count == 3)
                    try await waitUntil { worker.outstanding == 0 }
                    // Of what was known as applied nobody was called.
                    #expect(worker.figures.topics.first { $0.topic == "amounts.totals.replay" }?.succeeded.value == 1)
                }
                #expect(try await totals(pool).values.reduce(0, +) == 5)
            }
        }
    }

    @Test func aTopicThatIsAnotherOneIsNotSkippedInSilence() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            try await fleet.publish("amounts", (0..<4).map { event($0, "1") })
            try await withStore { store, pool in
                try await pool.transaction {
                    try await $0.execute(
                        """
                        INSERT INTO flotilla_positions (topic, partition, next_offset, worker)
                        VALUES ('amounts', 0, 1000, 'old'), ('amounts', 1, 1000, 'old')
                        """)
                }
                try await fleet.withWorker(.stateful(Totals()), ["amounts": policy], store: store) { worker in
                    try await waitUntil {
                        worker.outstanding == 4 && fleet.lines.contains { $0.contains("stopped: the topic ends") }
                    }
                }
                #expect(try await totals(pool).isEmpty)
            }
        }
    }

    @Test func aHandlerWithStateIsTestedWithNoBroker() async throws {
        let bench = try await StateBench(Totals(), database: try PostgresServer.shared.get().database())
        let published = try await bench.apply([
            .sample(id: "1", subject: "ada", json: #"{"amount": 3}"#),
            .sample(id: "2", subject: "ada", json: #"{"amount": 4}"#),
        ])
        #expect(published.map(\.json) == [#"{"amount":3}"#, #"{"amount":4}"#])
        await #expect(throws: Refusal.permanent("no amount")) {
            try await bench.apply([
                .sample(id: "3", subject: "ada", json: #"{"amount": 5}"#), .sample(id: "4", json: "{}"),
            ])
        }
        let row = try await bench.query("SELECT key, sum FROM totals")[0]
        #expect(try row.value("key") == "ada")
        #expect(try row.value("sum") == 7)
        let fired = try await bench.tick(Timestamp(milliseconds: 1000), TopicPartition("amounts", 0))
        #expect(fired.map(\.type) == ["tick"])
        try await bench.close()
    }

    @Test func timersFireForEachPartitionAndWithTheirOwnNames() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", policy)
            try await withStore { store, pool in
                var handler = Totals()
                handler.ticks = true
                let outputs = try await fleet.withWorker(.stateful(handler), ["amounts": policy], store: store) {
                    worker in
                    let outputs = try await fleet.read("counted", count: 4)
                    // Nor are they among the calls whose time is told: those are of events.
                    var text = MetricsText()
                    text.add([worker])
                    let calls = text.text.split(separator: "\n").filter {
                        $0.hasPrefix("messaging_process_duration_seconds_count")
                    }
                    #expect(!calls.isEmpty && calls.allSatisfy { $0.hasSuffix(" 0") }, "\(calls)")
                    return outputs
                }
                #expect(Set(outputs.compactMap { $0.text("ce_id") }).count == outputs.count)
                let rows = try await pool.transaction {
                    try await $0.query("SELECT DISTINCT topic, partition FROM ticks ORDER BY partition")
                }
                #expect(rows.count == 2)
                #expect(try rows.allSatisfy { try $0.value("topic") == "amounts" })
            }
        }
    }

    @Test func aDatabaseThatGoesAndComesLosesNothing() async throws {
        let server = try PostgresServer()
        var configuration = try PostgresConfiguration(url: try server.database())
        configuration.schema = "totals"
        let pool = try PostgresPool(configuration)
        defer { pool.close() }
        let store = StateStore(pool, worker: "test")
        try await store.prepare(Totals().migrations)
        try await Fleet.with { fleet in
            var policy = policy
            policy.breaker.failures = 3
            policy.breaker.cooldown = .milliseconds(200)
            try await fleet.makeTopics("amounts", policy)
            try await fleet.withWorker(.stateful(Totals()), ["amounts": policy], store: store) { worker in
                for round in 0..<3 {
                    try await fleet.publish("amounts", (0..<200).map { event(round * 200 + $0, "1") })
                    server.kill()
                    try await waitUntil { worker.broken == ["postgres"] }
                    try server.start()
                }
                try await waitUntil { worker.figures.done == 600 && worker.outstanding == 0 }
                // What was idle all the time finds out by its next event.
                try await fleet.publish("amounts", (600..<700).map { event($0, "1") })
                try await waitUntil { worker.broken.isEmpty && worker.figures.done == 700 }
            }
            let sum = try await totals(pool).values.reduce(0, +)
            #expect(sum == 700)
            #expect(try await fleet.read("amounts.totals.dlq", count: 1, within: .milliseconds(500)).isEmpty)
        }
    }
}
