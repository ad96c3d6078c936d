import Aggregate
import Flotilla
import FlotillaTesting
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

/// The tables of windows: made from those of before, made ahead, dropped when they are too old.
@Suite(.inTurns) struct TableTests {
    private static let noon = AggregateSite.noon
    private static let day: Int64 = 86_400_000

    private func withPool(_ body: (PostgresPool) async throws -> Void) async throws {
        var configuration = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
        configuration.schema = "aggregate"
        configuration.connections = 6
        let pool = try PostgresPool(configuration)
        defer { pool.close() }
        try await body(pool)
    }

    private func names(_ pool: PostgresPool, like pattern: String) async throws -> [String] {
        let rows = try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'aggregate'::regnamespace
                    AND c.relkind = 'r' AND c.relname ~ \(pattern) ORDER BY 1
                """)
        }
        return try rows.map { try $0.value("name") }
    }

    private func keep(_ pool: PostgresPool, _ step: String, at now: Int64, from: Int64?) async throws -> String {
        try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT windows_keep(\(step), \(Timestamp(milliseconds: now)),
                    \(from.map { Timestamp(milliseconds: $0) })) AS did
                """)[0].value("did")
        }
    }

    /// Workers that start together on an empty database: each step runs once, and all of them find the tables.
    @Test func workersThatStartTogetherMakeTheTablesOnce() async throws {
        try await withPool { pool in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<5 {
                    group.addTask {
                        try await StateStore(pool, worker: "\(number)").prepare(Aggregate().migrations)
                    }
                }
                try await group.waitForAll()
            }
            let row = try await pool.transaction { transaction in
                try await transaction.query("SELECT count(*) AS n FROM flotilla_migrations WHERE part = 'handler'")[0]
            }
            #expect(try row.value("n", as: Int.self) == Aggregate().migrations.count)
            #expect(try await names(pool, like: "^windows_1m").count == 5)
        }
    }

    /// What a build without journal and tables by time has left is all there.
    @Test func windowsOfBeforeAreTakenOver() async throws {
        try await withPool { pool in
            let migrations = try Aggregate().migrations
            try await StateStore(pool, worker: "old").prepare(Array(migrations.prefix(1)))
            try await pool.transaction { transaction in
                try await transaction.execute(
                    """
                    INSERT INTO windows (campaign, metric, step, window_start, window_end, partition, count, sum_micros,
                        uniques, unique_sketch, quantile_sketch, changed, revision)
                    SELECT 'c', 'm', k.step, '2026-05-04T00:00:00Z', '2026-05-04T00:01:00Z', 3, 7, 8, 0, 'u', 'q', false, 2
                    FROM unnest(ARRAY['1m', '1h', '1d']) AS k (step)
                    """)
                try await transaction.execute(
                    "INSERT INTO watermarks VALUES (3, '2026-05-04T00:02:00Z', '2026-05-04T00:02:10Z')")
            }
            try await StateStore(pool, worker: "new").prepare(migrations)
            let rows = try await pool.transaction { transaction in
                try await transaction.query(
                    "SELECT step, count, sum, revision, is_told FROM series WHERE campaign = 'c' ORDER BY step")
            }
            #expect(try rows.map { try $0.value("step", as: String.self) } == ["1d", "1h", "1m"])
            #expect(
                try rows.allSatisfy { try $0.value("count") == 7 && $0.value("revision") == 2 && $0.value("is_told") })
            let row = try await pool.transaction { transaction in
                try await transaction.query("SELECT closed_to, last FROM partitions WHERE partition = 3")[0]
            }
            #expect(try row.value("closed_to") == "2026-05-04 00:02:00+00")
        }
    }

    /// Points of any time have a place; when their table is made they move into it; and it goes with what is too old.
    @Test func tablesAreMadeAheadAndDroppedBehind() async throws {
        let site = try await AggregateSite()
        defer { site.close() }
        let handler = try Aggregate(settings: ["writeEvery": "0s", "keepMinutes": "3d", "keepHours": "40d"])
        // Far ahead, far back, and now: counted as if they were all of their time.
        let times = [Self.noon + 8 * Self.day, Self.noon, 253_402_300_799_999]
        try await site.apply(handler, times.map { try site.point("c", at: $0) }, now: Self.noon)
        // In the minutes and hours of 1970 nothing is kept any more, and the day is.
        try await site.apply(handler, [try site.point("old", at: 0, isCounted: false)], now: Self.noon)
        let old = try await site.query("SELECT step FROM windows WHERE campaign = 'old'")
        #expect(try old.map { try $0.value("step", as: String.self) } == ["1d"])
        func place(_ time: Int64) async throws -> String {
            try await site.query(
                """
                SELECT tableoid::regclass::text AS name FROM windows WHERE campaign = 'c' AND step = '1m'
                    AND window_start = \(Timestamp(milliseconds: time / 60_000 * 60_000))
                """)[0].value("name")
        }
        for _ in 0..<2 { try await site.keepTables(handler, now: Self.noon) }
        _ = try await site.query("DELETE FROM windows WHERE campaign = 'old'")
        #expect(try await place(Self.noon).hasSuffix("windows_1m_20260504"))
        #expect(try await place(Self.noon + 8 * Self.day).hasSuffix("windows_1m_rest"))
        try await site.check("after tables were made")
        // A week later by every clock.
        let later = Self.noon + 7 * Self.day
        for _ in 0..<3 { try await site.keepTables(handler, now: later) }
        #expect(try await place(Self.noon + 8 * Self.day).hasSuffix("windows_1m_20260512"))
        #expect(try await place(253_402_300_799_999).hasSuffix("windows_1m_rest"))
        let left = try await site.query(
            "SELECT count(*) AS n FROM windows WHERE campaign = 'c' AND window_start < now()")
        // Of the minute nothing is left, of hour and day there is.
        let minutes = try await site.query(
            """
            SELECT count(*) AS n FROM windows
            WHERE campaign = 'c' AND step = '1m' AND window_start <= \(Timestamp(milliseconds: Self.noon))
            """)[0]
        #expect(try minutes.value("n") == 0)
        #expect(left.count == 1)
        #expect(try await site.query("SELECT to_regclass('windows_1m_20260504') IS NULL AS gone")[0].value("gone"))
        // What comes for it now is not made again.
        try await site.apply(handler, [try site.point("c", at: Self.noon, isCounted: false)], now: later)
        let again = try await site.query(
            """
            SELECT step, count FROM windows
            WHERE campaign = 'c' AND window_start <= \(Timestamp(milliseconds: Self.noon)) ORDER BY step
            """)
        #expect(try again.map { try $0.value("step", as: String.self) } == ["1d", "1h"])
        #expect(try again.allSatisfy { try $0.value("count") == 2 })
    }

    /// A tick takes no lock on a whole table; what looks after them beside the events does, for a moment.
    @Test func tablesAreLookedAfterBesideTheTicks() async throws {
        try await withPool { pool in
            let handler = try Aggregate(settings: ["keepMinutes": "3d"])
            try await StateStore(pool, worker: "one").prepare(handler.migrations)
            let before = try await names(pool, like: "^windows_1m_[0-9]")
            let context = Context(
                attempt: 1, deadline: .seconds(30), event: nil, handler: .stateful(handler),
                clock: ManualClock(wallMilliseconds: Self.noon + 1000 * Self.day),
                log: Log(level: .error, format: .text))
            try await pool.transaction { transaction in
                _ = try await handler.tick(context.now, TopicPartition("metrics.points", 0), transaction, context)
            }
            #expect(try await names(pool, like: "^windows_1m_[0-9]") == before)
            // A table that is missing is made, and of what lies far back a piece goes at a time, until nothing is left.
            let last = try #require(before.last)
            try await pool.transaction { transaction in
                _ = try await transaction.query("DROP TABLE \(identifier: last)")
                try await transaction.execute(
                    """
                    INSERT INTO windows (campaign, metric, step, window_start, window_end, partition, count, sum_micros, uniques,
                        unique_sketch, quantile_sketch)
                    SELECT n::text, 'm', '1m', '2000-01-01', '2000-01-01', 0, 1, 0, 0, '', ''
                    FROM generate_series(1, 10500) AS k (n)
                    """)
            }
            let lines = Mutex<[String]>([])
            let service = HandlerService(
                pool, log: Log(level: .info, format: .text) { line in lines.withLock { $0.append(line) } },
                worker: "one")
            let serving = Task { try await handler.serve(service) }
            try await eventually {
                let rows = try await pool.transaction { try await $0.query("SELECT 1 AS one FROM windows LIMIT 1") }
                return try await self.names(pool, like: "^windows_1m_[0-9]") == before && rows.isEmpty
            }
            service.end()
            try await serving.value
            let deleted = lines.withLock { $0 }.filter { $0.contains("deleted") }
            #expect(deleted.count == 2 && deleted[0].contains("10000") && deleted[1].contains("500"), "\(deleted)")
        }
    }

    /// Two workers at once, and a reader that does not let go: one does it, the other does nothing, nobody waits for long.
    @Test func onlyOneMakesTables() async throws {
        try await withPool { pool in
            try await StateStore(pool, worker: "one").prepare(try Aggregate().migrations)
            let ahead = Self.noon + 1000 * Self.day
            let did = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<4 { group.addTask { try await self.keep(pool, "1m", at: ahead, from: nil) } }
                var did: [String] = []
                for try await one in group where !one.isEmpty { did.append(one) }
                return did
            }
            #expect(did.count == 1, "\(did)")
            #expect(did.first?.contains("made windows_1m_") == true)
            // Somebody reads what is to be dropped.
            let reader = try await pool.begin()
            _ = try await reader.query("SELECT count(*) FROM windows")
            var said = try await keep(pool, "1m", at: ahead + 30 * Self.day, from: nil)
            #expect(said.hasPrefix("nothing, because others use the tables"))
            await reader.rollBack()
            said = try await keep(pool, "1m", at: ahead + 30 * Self.day, from: ahead + 20 * Self.day)
            #expect(said.contains("made"))
            said = try await keep(pool, "1m", at: ahead + 30 * Self.day, from: ahead + 20 * Self.day)
            #expect(said.contains("dropped"))
            #expect(try await names(pool, like: "^windows_1m_[0-9]").count == 4)
        }
    }
}
