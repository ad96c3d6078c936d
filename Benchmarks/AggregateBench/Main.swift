// What `aggregate` makes of points when nothing else is in the way: no broker, no memory of what was done.
//
//   AggregateBench URL copy COUNT          COPY of the points, as text, into a table with no index
//   AggregateBench URL aggregate COUNT     the handler applies them, 500 a transaction, six partitions at once, each
//                                          transaction with its position, and ticks once a second
//   AggregateBench URL counted COUNT       the same, but with a tick after every 2000 points of a partition, however
//                                          long they take: for counting instructions
//
// The points are of 300 campaigns, few of them large, three metrics, a million users, two dimensions of twenty and three
// values, in the order of time; the same ones for both. `URL` is a database of its own.
// BENCH_CAMPAIGNS: so many campaigns. BENCH_KEPT: so many points of the 30 days before are in the windows already when
// what is measured begins.
// Prints: points, seconds, bytes in tables and indexes, bytes of write-ahead log, seconds of CPU here and in Postgres.

import Aggregate
import Flotilla
import FlotillaTesting
import Glibc
import JSON
import Model
import Platform
import Postgres
import Synchronization

@main
enum AggregateBench {
    static let partitions = 6
    static let batch = 500

    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let count = Int(arguments[3]) else {
            return fail("see the first lines of the source")
        }
        do {
            let points = Points(count)
            var configuration = try PostgresConfiguration(url: arguments[1])
            configuration.schema = "bench_\(arguments[2])"
            configuration.connections = partitions
            configuration.statementTimeout = .seconds(300)
            let pool = try PostgresPool(configuration)
            defer { pool.close() }
            let cost: Cost
            switch arguments[2] {
            case "copy": cost = try await copy(points, pool)
            case "aggregate": cost = try await aggregate(points, pool) { $1 >= 1000 }
            case "counted": cost = try await aggregate(points, pool) { pieces, _ in pieces % 4 == 0 }
            case let other: throw Unknown(verb: other)
            }
            let size = try await pool.transaction { transaction in
                try await transaction.query(
                    """
                    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes FROM pg_class c
                    WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
                    """)[0].value("bytes", as: Int64.self)
            }
            print("\(count) \(cost.seconds) \(size) \(cost.log) \(cost.here) \(cost.postgres)")
        } catch {
            fail("\(error)")
        }
    }

    struct Unknown: Error { let verb: String }

    /// What something cost.
    struct Cost {
        let seconds: Double
        let here: Double
        let postgres: Double
        let log: Int64

        static func of(_ pool: PostgresPool, _ body: () async throws -> Void) async throws -> Cost {
            let before = (try await AggregateBench.log(pool), processSeconds, try await backendSeconds(pool))
            let start = Time.monotonicNanoseconds
            try await body()
            let seconds = Double(Time.monotonicNanoseconds - start) / 1e9
            return Cost(
                seconds: seconds, here: processSeconds - before.1, postgres: try await backendSeconds(pool) - before.2,
                log: try await AggregateBench.log(pool) - before.0)
        }
    }

    /// The CPU time of the server's processes for this database; it is on this machine.
    private static func backendSeconds(_ pool: PostgresPool) async throws -> Double {
        let rows = try await pool.transaction { transaction in
            try await transaction.query("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        }
        return try rows.reduce(0) { sum, row in
            guard let file = unsafe fopen("/proc/\(try row.value("pid", as: Int.self))/stat", "r") else { return sum }
            defer { unsafe _ = fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 1024)
            let text = unsafe String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
            // Behind the name, which is in brackets: user and system time are the 12th and 13th.
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return sum }
            return sum + (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    private static func fail(_ reason: String) {
        let line = Array("AggregateBench: \(reason)\n".utf8)
        unsafe _ = write(2, line, line.count)
        exit(1)
    }

    private static func log(_ pool: PostgresPool) async throws -> Int64 {
        try await pool.transaction { transaction in
            try await transaction.query("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS at")[0].value("at")
        }
    }

    private static var processSeconds: Double {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    // MARK: The two

    private static func copy(_ points: Points, _ pool: PostgresPool) async throws -> Cost {
        try await pool.transaction { transaction in
            try await transaction.execute("CREATE SCHEMA IF NOT EXISTS bench_copy")
            try await transaction.execute(
                """
                CREATE TABLE points (campaign text, metric text, at timestamptz, value numeric, user_id text, country text,
                    device text)
                """)
        }
        let file = "/tmp/flotilla-points-\(getpid()).copy"
        defer { unsafe _ = unlink(file) }
        try points.write(file)
        // A file costs the server less than the lines of a client.
        return try await Cost.of(pool) {
            _ = try await pool.transaction { try await $0.execute(SQL(stringLiteral: "COPY points FROM '\(file)'")) }
        }
    }

    /// `ticks`: whether to tick now, by the pieces that were applied and the milliseconds since the last tick.
    private static func aggregate(
        _ points: Points, _ pool: PostgresPool,
        ticks: @escaping @Sendable (_ pieces: Int, _ milliseconds: Int64) -> Bool
    ) async throws -> Cost {
        let settings = ["dimensions": "country,device"]
        let handler = try Aggregate(settings: settings)
        let store = StateStore(pool, worker: "bench")
        try await store.prepare(handler.migrations)
        let log = Log(level: .warning, format: .text)
        @Sendable func context() -> Context {
            Context(
                attempt: 1, deadline: .seconds(60), event: nil, handler: .stateful(handler), clock: SystemClock(),
                log: log)
        }
        @Sendable func apply(_ events: [[[Event]]]) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, events) in events.enumerated() {
                    group.addTask {
                        let place = TopicPartition("metrics.points", Partition(Int32(number)))
                        var (book, _) = try await store.take(place)
                        var lastTick = Time.monotonicMilliseconds
                        for (index, piece) in events.enumerated() {
                            let transaction = try await store.begin(book)
                            _ = try await handler.apply(piece, transaction, context())
                            let next = book.next + Int64(piece.count)
                            _ = try await store.commit(
                                transaction, book, next: next, outputs: OutgoingBatch(), published: nil)
                            book.next = next
                            let isLast = index == events.count - 1
                            guard ticks(index + 1, Time.monotonicMilliseconds - lastTick) || isLast else { continue }
                            lastTick = Time.monotonicMilliseconds
                            let tick = try await store.begin(book)
                            // The last one is late enough that everything is written: what waits counts as well.
                            let now = Timestamp(milliseconds: context().now.milliseconds + (isLast ? 60_000 : 0))
                            _ = try await handler.tick(now, place, tick, context())
                            _ = try await store.commit(
                                tick, book, next: book.next, outputs: OutgoingBatch(), published: nil)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        try await apply(try (0..<partitions).map { try points.events($0, of: -points.kept..<0) })
        let events = try (0..<partitions).map { try points.events($0, of: 0..<points.count) }
        let cost = try await Cost.of(pool) { try await apply(events) }
        let counted = try await pool.transaction { transaction in
            try await transaction.query(
                "SELECT coalesce(sum(count), 0)::bigint AS n FROM windows WHERE step = '1d' AND dimension = ''")[0]
                .value("n", as: Int.self)
        }
        let all = points.kept + points.count
        guard counted == all else { throw Unknown(verb: "counted \(counted) of \(all)") }
        return cost
    }
}

/// The points, the same ones at every run.
struct Points: Sendable {
    let count: Int
    /// How many are before those: their places are below zero.
    let kept = setting("BENCH_KEPT") ?? 0
    private let campaigns = Double(setting("BENCH_CAMPAIGNS") ?? 300)
    /// Two hours ago, on the hour; and from there on as they come at 200 000 a second.
    private let start = Time.wallMilliseconds / 3_600_000 * 3_600_000 - 7_200_000

    init(_ count: Int) { self.count = count }

    private static func setting(_ name: String) -> Int? {
        unsafe getenv(name).flatMap { unsafe Int(String(cString: $0)) }
    }

    private func time(_ place: Int) -> Int64 {
        place < 0 ? start + Int64(place) * (30 * 86_400_000 / Int64(kept)) : start + Int64(place) / 200
    }

    struct Point {
        let campaign: Int
        let metric: String
        let time: Int64
        let cents: UInt64
        let user: UInt64
        let country: UInt64
        let device: UInt64
    }

    private static let metrics = ["impressions", "impressions", "impressions", "clicks", "revenue"]

    /// A number that only the place decides.
    private static func random(_ place: Int, _ salt: UInt64) -> UInt64 {
        var bits = UInt64(bitPattern: Int64(place)) &* 0x9e37_79b9_7f4a_7c15 &+ salt &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }

    subscript(place: Int) -> Point {
        // A share that falls with the rank: the first tenth of the campaigns has half of the points.
        let share = Double(Self.random(place, 1) >> 11) / 0x1p53
        let country = Double(Self.random(place, 2) >> 11) / 0x1p53
        return Point(
            campaign: Int(campaigns * share * share * share), metric: Self.metrics[Int(Self.random(place, 3) % 5)],
            time: time(place), cents: 100 + Self.random(place, 4) % 20_000,
            user: Self.random(place, 5) % 1_000_000, country: UInt64(20 * country * country),
            device: Self.random(place, 6) % 3)
    }

    /// A partition's, as the handler gets them.
    func events(_ partition: Int, of places: Range<Int>) throws -> [[Event]] {
        let place = TopicPartition("metrics.points", Partition(Int32(partition)))
        var batches: [[Event]] = []
        var records: [OutgoingRecord] = []
        for number in places {
            let point = self[number]
            if point.campaign % AggregateBench.partitions == partition { records.append(record(number, point)) }
            guard records.count == AggregateBench.batch || number == places.upperBound - 1, !records.isEmpty else {
                continue
            }
            batches.append(try RecordBatch(records, at: place, from: 0).map { try Event($0) })
            records = []
        }
        return batches
    }

    private func record(_ number: Int, _ point: Point) -> OutgoingRecord {
        var json = JSONWriter()
        json.object { json in
            json.member("campaign_id", "campaign-\(point.campaign)")
            json.member("metric", point.metric)
            json.member("timestamp", point.time)
            if point.metric == "revenue" {
                json.name("value")
                json.append(Int64(point.cents), fractionDigits: 2)
            }
            json.member("user_id", "user-\(point.user)")
            json.object("dimensions") { json in
                json.member("country", "c\(point.country)")
                json.member("device", "d\(point.device)")
            }
        }
        return OutgoingRecord(
            topic: "metrics.points", value: json.bytes,
            headers: [
                Header("ce_specversion", "1.0"), Header("ce_id", "\(number)"), Header("ce_source", "/bench"),
                Header("ce_type", "metric.point"),
            ])
    }

    /// All of them as COPY reads them.
    func write(_ path: String) throws {
        guard let file = unsafe fopen(path, "w") else { throw AggregateBench.Unknown(verb: "cannot write \(path)") }
        defer { unsafe _ = fclose(file) }
        for place in 0..<count {
            let point = self[place]
            let value =
                point.metric == "revenue" ? "\(point.cents / 100).\(point.cents % 100 / 10)\(point.cents % 10)" : "\\N"
            let line =
                "campaign-\(point.campaign)\t\(point.metric)\t\(Timestamp(milliseconds: point.time))\t\(value)\tuser-\(point.user)\tc\(point.country)\td\(point.device)\n"
            unsafe _ = fputs(line, file)
        }
        unsafe _ = chmod(path, 0o644)
    }
}
