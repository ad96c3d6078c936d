internal import Flotilla
internal import JSON
internal import Model
internal import Platform
internal import Postgres

/// Windows in Postgres: many rows in one statement, by arrays.
struct WindowStore: Sendable {
    let transaction: PostgresTransaction
    let partition: Partition

    /// Merges rollups into what is there. Every row that changes is to be told.
    func merge(_ changes: [RollupKey: Rollup]) async throws {
        let keys = Array(changes.keys)
        var rollups = keys.map { changes[$0] ?? Rollup() }
        let columns = Columns(keys)
        let rows = try await transaction.query(
            """
            SELECT k.n::bigint AS n, w.count, w.sum_micros::text AS sum, w.unique_sketch, w.quantile_sketch
            FROM unnest(\(columns.campaigns)::text[], \(columns.metrics)::text[], \(columns.steps)::text[],
                \(columns.starts)::timestamptz[], \(columns.dimensions)::text[], \(columns.values)::text[])
                WITH ORDINALITY AS k (campaign, metric, step, window_start, dimension, value, n)
            JOIN windows w USING (campaign, metric, step, window_start, dimension, value)
            """)
        for row in rows {
            let number: Int = try row.value("n")
            rollups[number - 1].merge(try Rollup(row))
        }
        let quantiles = rollups.map { $0.quantiles.quantiles(percents: [50, 95, 99]) }
        func quantile(_ index: Int) -> [Int64?] { quantiles.map { $0.indices.contains(index) ? $0[index].units : nil } }
        transaction.later(
            """
            INSERT INTO windows (campaign, metric, step, window_start, dimension, value, window_end, partition, count,
                sum_micros, uniques, p50_micros, p95_micros, p99_micros, unique_sketch, quantile_sketch)
            SELECT k.campaign, k.metric, k.step, k.window_start, k.dimension, k.value, k.window_end,
                \(partition.rawValue), k.count, k.sum, k.uniques, k.p50, k.p95, k.p99, k.unique_sketch, k.quantile_sketch
            FROM unnest(\(columns.campaigns)::text[], \(columns.metrics)::text[], \(columns.steps)::text[],
                \(columns.starts)::timestamptz[], \(columns.dimensions)::text[], \(columns.values)::text[],
                \(columns.ends)::timestamptz[], \(rollups.map(\.count))::bigint[],
                \(rollups.map { SQLValue.text($0.sum.units.description) })::numeric[],
                \(rollups.map { Int64($0.uniques.count) })::bigint[],
                \(quantile(0))::bigint[], \(quantile(1))::bigint[], \(quantile(2))::bigint[],
                \(rollups.map { SQLValue.bytes($0.uniques.stored) })::bytea[],
                \(rollups.map { SQLValue.bytes($0.quantiles.stored) })::bytea[])
                AS k (campaign, metric, step, window_start, dimension, value, window_end, count, sum, uniques, p50, p95, p99,
                    unique_sketch, quantile_sketch)
            ON CONFLICT (campaign, metric, step, window_start, dimension, value) DO UPDATE SET
                partition = excluded.partition, count = excluded.count, sum_micros = excluded.sum_micros,
                uniques = excluded.uniques, p50_micros = excluded.p50_micros, p95_micros = excluded.p95_micros,
                p99_micros = excluded.p99_micros, unique_sketch = excluded.unique_sketch,
                quantile_sketch = excluded.quantile_sketch, changed = true
            """)
    }

    /// The windows that have ended and changed since they were told, the first thousand; they count as told.
    func tell(to closed: Int64) async throws -> [WindowRow] {
        let rows = try await transaction.query(
            """
            WITH due AS (
                SELECT campaign, metric, step, window_start, dimension, value FROM windows
                WHERE partition = \(partition.rawValue) AND changed AND window_end <= \(Timestamp(milliseconds: closed))
                ORDER BY window_end LIMIT 1000
            )
            UPDATE windows w SET changed = false, revision = w.revision + 1 FROM due
            WHERE w.campaign = due.campaign AND w.metric = due.metric AND w.step = due.step
                AND w.window_start = due.window_start AND w.dimension = due.dimension AND w.value = due.value
            RETURNING w.*, w.sum_micros::text AS sum
            """)
        return try rows.map(WindowRow.init).sorted()
    }

    // MARK: Watermarks

    func watermark(_ limits: Watermark.Limits, now: Int64) async throws -> Watermark {
        let row = try await transaction.query(
            "SELECT closed_to, seen_at FROM watermarks WHERE partition = \(partition.rawValue)"
        ).first
        guard let row else { return Watermark(limits, now: now) }
        let seen: Timestamp = try row.value("seen_at")
        return Watermark(
            limits, time: try row.optional("closed_to", as: Timestamp.self)?.milliseconds, now: seen.milliseconds)
    }

    /// `seenAt`: when the partition brought something, nil when it did not now.
    func save(_ watermark: Watermark, seenAt: Int64?, now: Int64) {
        transaction.later(
            """
            INSERT INTO watermarks (partition, closed_to, seen_at)
            VALUES (\(partition.rawValue), \(watermark.time.map { Timestamp(milliseconds: $0) }),
                \(Timestamp(milliseconds: seenAt ?? now)))
            ON CONFLICT (partition) DO UPDATE SET closed_to = excluded.closed_to,
                seen_at = CASE WHEN \(seenAt != nil) THEN excluded.seen_at ELSE watermarks.seen_at END
            """)
    }

    // MARK: Guards

    func guards(of campaigns: Set<String>) async throws -> [String: CardinalityGuard] {
        guard !campaigns.isEmpty else { return [:] }
        let rows = try await transaction.query(
            "SELECT campaign, guard FROM dimension_guards WHERE campaign = ANY(\(campaigns.sorted())::text[])")
        var guards: [String: CardinalityGuard] = [:]
        for row in rows { guards[try row.value("campaign")] = try CardinalityGuard(stored: row.value("guard")) }
        return guards
    }

    func save(_ guards: [String: CardinalityGuard]) {
        guard !guards.isEmpty else { return }
        let list = guards.sorted { $0.key < $1.key }
        transaction.later(
            """
            INSERT INTO dimension_guards
            SELECT * FROM unnest(\(list.map(\.key))::text[], \(list.map { SQLValue.bytes($0.value.stored) })::bytea[])
            ON CONFLICT (campaign) DO UPDATE SET guard = excluded.guard
            """)
    }

    private struct Columns {
        let campaigns: [String]
        let metrics: [String]
        let steps: [String]
        let starts: [Timestamp]
        let ends: [Timestamp]
        let dimensions: [String]
        let values: [String]

        init(_ keys: [RollupKey]) {
            campaigns = keys.map(\.campaign)
            metrics = keys.map(\.metric)
            steps = keys.map(\.window.step.rawValue)
            starts = keys.map(\.window.startTime)
            ends = keys.map { Timestamp(milliseconds: $0.window.end) }
            dimensions = keys.map(\.dimension)
            values = keys.map(\.value)
        }
    }
}

extension Rollup {
    fileprivate init(_ row: PostgresRow) throws {
        self.init()
        count = try row.value("count")
        guard let units = Int128(try row.value("sum", as: String.self)), let sum = MicrosSum(units: units) else {
            throw PostgresFault.unreadable("a sum")
        }
        self.sum = sum
        uniques = try UniqueSketch(stored: row.value("unique_sketch"))
        quantiles = try QuantileSketch(stored: row.value("quantile_sketch"))
    }
}
