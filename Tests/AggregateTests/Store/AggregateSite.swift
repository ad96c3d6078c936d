import Aggregate
import Flotilla
import FlotillaTesting
import JSON
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

/// A database that several processes of `aggregate` share, each an instance with a memory of its own; and a plain count of
/// what was put in.
final class AggregateSite: Sendable {
    static let noon: Int64 = 1_777_896_000_000

    struct Plain: Equatable {
        var count: Int64 = 0
        var micros: Int64 = 0
        var users: Set<String> = []
        var values: [Int64] = []
    }

    /// Thrown to have a transaction rolled back after the handler was done.
    struct GivenUp: Error {}

    let pool: PostgresPool
    private let schema: String
    private let counted = Mutex<[String: Plain]>([:])

    init() async throws {
        var configuration = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
        schema = "test_\(UUIDValue.version7())"
        configuration.schema = schema
        configuration.connections = 5
        pool = try PostgresPool(configuration)
        do { try await prepare() } catch {
            pool.close()
            throw error
        }
    }

    func prepare() async throws { try await StateStore(pool, worker: "test").prepare(Aggregate().migrations) }

    func close() { pool.close() }

    static func event(
        _ json: String, partition: Int32 = 0, topic: TopicName = "metrics.points"
    ) throws -> Event {
        let record = OutgoingRecord(
            topic: topic, value: Array(json.utf8),
            headers: [
                Header("ce_specversion", "1.0"), Header("ce_id", "1"), Header("ce_source", "/test"),
                Header("ce_type", "metric.point"),
            ])
        return try Event(Record(record, at: TopicPartition(topic, Partition(partition)), 0, timestamp: nil))
    }

    private func context(_ handler: Aggregate, _ now: Int64, _ quietSince: Int64?) -> Context {
        Context(
            attempt: 1, deadline: .seconds(30), event: nil, handler: .stateful(handler),
            clock: ManualClock(wallMilliseconds: now), log: Log(level: .error, format: .text),
            quietSince: quietSince.map { Timestamp(milliseconds: $0) })
    }

    /// Applies points in one transaction, which is given up at its end when `isGivenUp`.
    func apply(_ handler: Aggregate, _ events: [Event], now: Int64 = noon, isGivenUp: Bool = false) async throws {
        let context = context(handler, now, nil)
        do {
            try await pool.transaction { transaction in
                _ = try await handler.apply(events, transaction, context)
                if isGivenUp { throw GivenUp() }
            }
        } catch is GivenUp {}
    }

    @discardableResult
    func tick(_ handler: Aggregate, partition: Int32 = 0, now: Int64 = noon, quietSince: Int64? = 0) async throws -> Int
    {
        let context = context(handler, now, quietSince)
        return try await pool.transaction { transaction in
            try await handler.tick(
                Timestamp(milliseconds: now), TopicPartition("metrics.points", Partition(partition)), transaction,
                context
            ).count
        }
    }

    /// Waits until somebody waits for what this transaction holds.
    func blocked(by holder: PostgresTransaction) async throws {
        let pid: Int = try await holder.query("SELECT pg_backend_pid() AS pid")[0].value("pid")
        try await eventually {
            try await query(
                """
                SELECT EXISTS (SELECT FROM pg_stat_activity WHERE \(pid)::int = ANY(pg_blocking_pids(pid))) AS found
                """)[0].value("found")
        }
    }

    func keepTables(_ handler: Aggregate, now: Int64) async throws {
        try await handler.keepTables(
            pool, Log(level: .error, format: .text), now: Timestamp(milliseconds: now))
    }

    func query(_ statement: SQL) async throws -> PostgresRows {
        try await pool.transaction { try await $0.query(statement) }
    }

    // MARK: The plain count

    /// A point as an event; counted as well, unless it is one that is given up.
    func point(
        _ campaign: String, at time: Int64, micros: Int64? = nil, user: String? = nil,
        dimensions: [(name: String, value: String, shown: String)] = [], partition: Int32 = 0, isCounted: Bool = true,
        topic: TopicName = "metrics.points"
    ) throws -> Event {
        var writer = JSONWriter()
        writer.object { json in
            json.member("campaign_id", campaign)
            json.member("metric", "m")
            json.member("timestamp", time)
            if let micros {
                json.name("value")
                json.append(micros, fractionDigits: 6)
            }
            if let user { json.member("user_id", user) }
            json.object("dimensions") { json in for one in dimensions { json.member(one.name, one.value) } }
        }
        if isCounted {
            for (step, length) in [("1m", Int64(60_000)), ("1h", 3_600_000), ("1d", 86_400_000)] {
                for part in [""] + dimensions.map({ "\($0.name)=\($0.shown)" }) {
                    let name = "\(campaign) \(step) \(time / length * length) \(part)"
                    counted.withLock { counted in
                        counted[name, default: Plain()].count += 1
                        if let micros {
                            counted[name]?.micros += micros
                            counted[name]?.values.append(micros)
                        }
                        if let user { counted[name]?.users.insert(user) }
                    }
                }
            }
        }
        return try Self.event(writer.text, partition: partition, topic: topic)
    }

    /// Every window holds what the plain count says.
    func check(_ comment: Comment) async throws {
        let rows = try await query(
            """
            SELECT campaign || ' ' || step || ' ' || (extract(epoch FROM window_start) * 1000)::bigint || ' '
                || dimension || CASE WHEN dimension = '' THEN '' ELSE '=' || value END AS name,
                count, sum_micros::bigint AS micros, uniques, p50_micros FROM windows
            """)
        let plain = counted.withLock { $0 }
        #expect(rows.count == plain.count, comment)
        for row in rows {
            let name: String = try row.value("name")
            let expected = try #require(plain[name], "\(comment): \(name)")
            #expect(try row.value("count") == expected.count, "\(comment): \(name)")
            #expect(try row.value("micros") == expected.micros, "\(comment): \(name)")
            #expect(try row.value("uniques") == expected.users.count, "\(comment): \(name)")
            let median = try row.optional("p50_micros", as: Int64.self)
            let sorted = expected.values.sorted()
            guard !sorted.isEmpty else {
                #expect(median == nil)
                continue
            }
            let exact = Double(sorted[(sorted.count + 1) / 2 - 1])
            #expect(abs(Double(median ?? .max) - exact) <= abs(exact) / 100 + 1, "\(comment): \(name)")
        }
    }
}
