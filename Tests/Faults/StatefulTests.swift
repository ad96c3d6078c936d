import Flotilla
import Glibc
import Kafka
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

/// kill -9 of workers, Redis, the broker and Postgres while events flow into a state that increments.
///
/// Nothing waits for time: what happens next happens when so many more events are in the sums.
@Suite(.serialized, .timeLimit(.minutes(30))) struct StatefulTests {
    private static let topics = [
        "amounts":
            "consumers:\n  - {handler: sink, ordering: partition, concurrency: 1, retry: {tiers: []}, produces: [counted]}\n",
        "counted": "",
    ]

    /// How many kills: FLOTILLA_KILLS, 5 in `make test` and 50 in `make prove`.
    private static var kills: Int { unsafe getenv("FLOTILLA_KILLS").flatMap { unsafe Int(String(cString: $0)) } ?? 5 }

    @Test func theSumsAreExactWhateverIsKilled() async throws {
        let site = try await Site(Self.topics)
        defer { site.end() }
        let pool = try site.pool()
        defer { pool.close() }
        let total = 200_000
        let producer = try Producer(ProducerConfiguration(site.client))
        try site.startWorker("sink")
        try site.startWorker("sink")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var next = 0
                while next < total {
                    let end = min(total, next + 2000)
                    try await site.publish("amounts", next..<end, with: producer) { "{\"amount\":\($0)}" }
                    next = end
                }
            }
            group.addTask { try await Self.makeTrouble(site, pool, total) }
            try await group.waitForAll()
        }
        try await Self.wait(for: total, pool, site)
        let row = try await Self.totals(pool)
        #expect(row.events == total)
        #expect(row.sum == total * (total - 1) / 2)
        while site.workers > 0 { #expect(site.stopWorker() == 0, "\(site.said.suffix(2000))") }
        await producer.close()
        // Every output is in its topic, and no other.
        var ids: Set<String> = []
        var sum = 0
        var records = 0
        try await site.read("counted") { record in
            records += 1
            let id = record.headers.last { $0.name == "ce_id" }?.value.map { String(decoding: $0, as: UTF8.self) } ?? ""
            if ids.insert(id).inserted, let amount = try? Event(record).json()["amount"]?.int64 { sum += Int(amount) }
            return ids.count == total
        }
        #expect(ids.count == total)
        #expect(sum == total * (total - 1) / 2)
        print("\(Self.kills) kills: \(records) outputs read for \(total) ids")
        let left = try await pool.transaction {
            try await $0.query(
                """
                SELECT count(*) AS n, string_agg(partition || ' ' || seq || ' ' || made_at, '; ') AS rows, now() AS now
                FROM flotilla_outbox
                """)[0]
        }
        #expect(try left.value("n") == 0, "\(left)")
        #expect(site.broker.stop() == 0)
    }

    /// Kills something each time so many more events are in, and scales two workers to four to one.
    private static func makeTrouble(_ site: Site, _ pool: PostgresPool, _ total: Int) async throws {
        for kill in 1...kills {
            try await wait(for: total * kill / (kills + 2) + Int.random(in: 0..<200), pool, site)
            switch kill % 5 {
            case 2:
                site.redis.kill()
                site.killWorker()
                try site.redis.start()
                try site.startWorker("sink")
            case 3:
                site.broker.kill()
                site.killWorker()
                try site.broker.start()
                try site.startWorker("sink")
            case 4:
                site.postgres.kill()
                try site.postgres.start()
                site.killWorker()
                try site.startWorker("sink")
            case _:
                site.killWorker()
                try site.startWorker("sink")
            }
            if kill == kills / 2 { for _ in 0..<2 { try site.startWorker("sink") } }
        }
        while site.workers > 1 { #expect(site.stopWorker() == 0, "\(site.said.suffix(2000))") }
    }

    @Test func whoIsKilledBetweenCommitAndPublishLeavesItToTheNext() async throws {
        let site = try await Site(Self.topics)
        defer { site.end() }
        let pool = try site.pool()
        defer { pool.close() }
        let producer = try Producer(ProducerConfiguration(site.client))
        try site.startWorker("sink")
        try await site.publish("amounts", 0..<1000, with: producer) { "{\"amount\":\($0)}" }
        try await Self.wait(for: 1000, pool, site)
        // The topic of the outputs takes nothing in: they are committed, and stay where they are.
        let admin = try Admin(site.client)
        try await admin.change(["max.message.bytes": "100"], of: "counted")
        try await site.publish("amounts", 1000..<3000, with: producer) { "{\"amount\":\($0)}" }
        try await Self.wait(for: 1001, pool, site)
        site.killWorker()
        let left = try await pool.transaction { try await $0.query("SELECT count(*) AS n FROM flotilla_outbox")[0] }
        #expect(try left.value("n", as: Int.self) > 0)
        try await admin.change(["max.message.bytes": "1048576"], of: "counted")
        await admin.close()
        try site.startWorker("sink")
        try await Self.wait(for: 3000, pool, site)
        var ids: Set<String> = []
        try await site.read("counted") { record in
            ids.insert(
                record.headers.last { $0.name == "ce_id" }?.value.map { String(decoding: $0, as: UTF8.self) } ?? "")
            return ids.count == 3000
        }
        #expect(ids.count == 3000)
        #expect(try await Self.totals(pool).sum == 2999 * 1500)
        await producer.close()
    }

    private static func totals(_ pool: PostgresPool) async throws -> (events: Int, sum: Int) {
        let row = try await pool.transaction {
            try await $0.query(
                "SELECT coalesce(sum(events), 0)::bigint AS events, coalesce(sum(sum), 0)::bigint AS sum FROM totals")[
                    0]
        }
        return (try row.value("events"), try row.value("sum"))
    }

    /// Waits until so many events are in the sums. While Postgres or its tables are not there, nothing is.
    private static func wait(for events: Int, _ pool: PostgresPool, _ site: Site) async throws {
        let end = ContinuousClock.now + .seconds(300)
        var last = 0
        while true {
            if let found = try? await totals(pool).events { last = found }
            if last >= events { return }
            try #require(ContinuousClock.now < end, "stuck at \(last) of \(events): \(site.said.suffix(3000))")
            try #require(site.reapWorker() == nil, "a worker ended: \(site.said.suffix(3000))")
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

/// An event that ends the process that handles it.
@Suite(.serialized, .timeLimit(.minutes(10))) struct CrashLoopTests {
    @Test func whatEndsTheProcessIsADeadLetterAndHarmsNobodyElse() async throws {
        let site = try await Site([
            "things": "consumers:\n  - {handler: trap, retry: {tiers: [1s]}, produces: [passed]}\n", "passed": "",
        ])
        defer { site.end() }
        let producer = try Producer(ProducerConfiguration(site.client))
        try await site.publish("things", 0..<600, with: producer) { "{\"trap\":\($0 == 401)}" }
        try site.startWorker("trap")
        var letters: [String] = []
        let supervisor = Task {
            // What a supervisor does: start it again.
            while !Task.isCancelled {
                if let code = site.reapWorker() {
                    #expect(code == -SIGABRT, "\(site.said.suffix(2000))")
                    try site.startWorker("trap")
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        try await site.read("things.trap.dlq") { record in
            letters.append(
                record.headers.last { $0.name == "dlq-reason" }?.value.map { String(decoding: $0, as: UTF8.self) } ?? ""
            )
            return true
        }
        #expect(letters == ["crash-loop"])
        var ids: Set<String> = []
        try await site.read("passed") { record in
            ids.insert(
                record.headers.last { $0.name == "ce_id" }?.value.map { String(decoding: $0, as: UTF8.self) } ?? "")
            return ids.count == 599
        }
        if ids.count != 599 {
            var found: [String] = []
            try await site.read("things.trap.dlq") { record in
                let texts = record.headers.compactMap { header in
                    header.value.map { "\(header.name)=\(String(decoding: $0, as: UTF8.self).prefix(200))" }
                }
                found.append(texts.joined(separator: " "))
                return false
            }
            Issue.record("\(ids.count) passed; dead letters: \(found); said: \(site.said.suffix(6000))")
        }
        supervisor.cancel()
        _ = await supervisor.result
        let ends = site.said.split(separator: "\n").count { $0.contains("working") } - 1
        print("the process ended \(ends) times for one event")
        await producer.close()
    }
}
