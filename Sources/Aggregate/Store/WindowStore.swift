internal import Flotilla
internal import JSON
internal import Model
internal import Platform
internal import Postgres

/// Windows in Postgres: many rows in one statement, by arrays.
struct WindowStore: Sendable {
    let transaction: PostgresTransaction
    let partition: Int32

    private static let rows = 500

    /// Writes what is dirty of a memory. `isKept`: windows for which it is false are too old to be made again.
    ///
    /// A thousand windows at a time, so that memory is bounded however many there are: `limit` is what all may take.
    func write(_ memory: PartitionMemory, limit: Int, isKept: (Window) -> Bool) async throws {
        let dirty = memory.toWrite()
        // Also when it fails: windows and the minutes that they wait for hold each other, and would for ever.
        defer { for state in dirty { state.waiting = [] } }
        var left = dirty[...]
        while !left.isEmpty {
            let states = left.prefix(Self.rows)
            left = left.dropFirst(states.count)
            var kept: [WindowState] = []
            for state in states {
                if isKept(state.window) {
                    kept.append(state)
                } else {
                    state.stored = nil
                }
            }
            try await load(kept.filter { $0.stored == nil })
            for state in kept { state.settle() }
            try await write(kept)
            for state in kept {
                if memory.bytes > limit { state.stored = nil }
                memory.settled(state)
            }
        }
        memory.wrote()
        memory.shrink(to: limit)
    }

    // MARK: Reading

    private func load(_ states: [WindowState]) async throws {
        guard !states.isEmpty else { return }
        var disturbed: Set<Int32> = []
        while true {
            let others = try await read(states).subtracting(disturbed)
            guard !others.isEmpty else { break }
            // Points of a campaign come by two partitions: somebody published them past the key, or the topic has more
            // partitions now. Its windows are this one's from here on. What was read before the others were locked may not
            // be true any more, nor whose they were: a third one may have taken them meanwhile.
            try await PartitionStore(transaction: transaction, partition: partition).disturb(others)
            disturbed.formUnion(others)
        }
        guard !disturbed.isEmpty else { return }
        let columns = Columns(states)
        try await transaction.execute(
            """
            UPDATE windows w SET partition = \(partition)
            FROM unnest(\(columns.campaigns)::text[], \(columns.metrics)::text[], \(columns.steps)::text[],
                \(columns.starts)::timestamptz[], \(columns.dimensions)::text[], \(columns.values)::text[])
                AS k (campaign, metric, step, window_start, dimension, value)
            WHERE w.campaign = k.campaign AND w.metric = k.metric AND w.step = k.step
                AND w.window_start = k.window_start AND w.dimension = k.dimension AND w.value = k.value
                AND w.partition <> \(partition)
            """)
    }

    /// Reads windows into their states; whose else they are.
    private func read(_ states: [WindowState]) async throws -> Set<Int32> {
        let columns = Columns(states)
        let rows = try await transaction.query(
            """
            SELECT k.n::bigint AS n, w.partition, w.count, w.sum_micros::text AS sum, w.unique_sketch, w.quantile_sketch
            FROM unnest(\(columns.campaigns)::text[], \(columns.metrics)::text[], \(columns.steps)::text[],
                \(columns.starts)::timestamptz[], \(columns.dimensions)::text[], \(columns.values)::text[])
                WITH ORDINALITY AS k (campaign, metric, step, window_start, dimension, value, n)
            JOIN windows w ON w.campaign = k.campaign AND w.metric = k.metric AND w.step = k.step
                AND w.window_start = k.window_start AND w.dimension = k.dimension AND w.value = k.value
            """)
        for state in states { state.stored = Rollup() }
        var others: Set<Int32> = []
        for row in rows {
            let number: Int = try row.value("n")
            guard states.indices.contains(number - 1) else { throw PostgresFault.unreadable("a row nobody asked for") }
            states[number - 1].stored = try Rollup(row)
            let owner: Int32 = try row.value("partition")
            if owner != partition { others.insert(owner) }
        }
        return others
    }

    // MARK: Writing

    private func write(_ states: [WindowState]) async throws {
        guard !states.isEmpty else { return }
        let columns = Columns(states)
        let rollups = states.map { $0.stored ?? Rollup() }
        let quantiles = rollups.map { $0.quantiles.quantiles(percents: [50, 95, 99]) }
        func quantile(_ index: Int) -> BinaryArray {
            BinaryArray(integers: quantiles.map { $0.indices.contains(index) ? $0[index].units : nil })
        }
        let written = try await transaction.execute(
            """
            INSERT INTO windows (campaign, metric, step, window_start, dimension, value, window_end, partition, count,
                sum_micros, uniques, p50_micros, p95_micros, p99_micros, unique_sketch, quantile_sketch)
            SELECT k.campaign, k.metric, k.step, k.window_start, k.dimension, k.value, k.window_end,
                \(partition), k.count, k.sum::numeric, k.uniques, k.p50, k.p95, k.p99, k.unique_sketch, k.quantile_sketch
            FROM unnest(\(columns.campaigns)::text[], \(columns.metrics)::text[], \(columns.steps)::text[],
                \(columns.starts)::timestamptz[], \(columns.dimensions)::text[], \(columns.values)::text[],
                \(columns.ends)::timestamptz[], \(BinaryArray(integers: rollups.map(\.count)))::bigint[],
                \(BinaryArray(texts: rollups.map { $0.sum.units.description }))::text[],
                \(BinaryArray(integers: rollups.map { Int64($0.uniques.count) }))::bigint[],
                \(quantile(0))::bigint[], \(quantile(1))::bigint[], \(quantile(2))::bigint[],
                \(BinaryArray(bytes: rollups.map(\.uniques.stored)))::bytea[],
                \(BinaryArray(bytes: rollups.map(\.quantiles.stored)))::bytea[])
                AS k (campaign, metric, step, window_start, dimension, value, window_end, count, sum, uniques, p50, p95, p99,
                    unique_sketch, quantile_sketch)
            ON CONFLICT (campaign, metric, step, window_start, dimension, value) DO UPDATE SET
                count = excluded.count, sum_micros = excluded.sum_micros, uniques = excluded.uniques,
                p50_micros = excluded.p50_micros, p95_micros = excluded.p95_micros, p99_micros = excluded.p99_micros,
                unique_sketch = excluded.unique_sketch, quantile_sketch = excluded.quantile_sketch, changed = true
                WHERE windows.partition = excluded.partition
            """)
        // Another partition made one of them after we looked: the next attempt finds it there.
        guard written == states.count else {
            throw PostgresFault(.conflict, "windows of this partition became another one's meanwhile")
        }
    }

    /// How many windows are told at once.
    static let told = 1000

    /// Whether windows have ended and changed since they were told.
    func hasToTell(to closed: Int64) async throws -> Bool {
        try await transaction.query(
            """
            SELECT EXISTS (SELECT FROM windows WHERE partition = \(partition) AND changed
                AND window_end <= \(Timestamp(milliseconds: closed))) AS found
            """
        )[0].value("found")
    }

    /// The windows that have ended and changed since they were told, the first thousand; they count as told.
    func tell(to closed: Int64) async throws -> [WindowRow] {
        let rows = try await transaction.query(
            """
            WITH due AS (
                SELECT campaign, metric, step, window_start, dimension, value FROM windows
                WHERE partition = \(partition) AND changed AND window_end <= \(Timestamp(milliseconds: closed))
                ORDER BY window_end LIMIT \(Self.told)::int
            )
            UPDATE windows w SET changed = false, revision = w.revision + 1 FROM due
            WHERE w.campaign = due.campaign AND w.metric = due.metric AND w.step = due.step
                AND w.window_start = due.window_start AND w.dimension = due.dimension AND w.value = due.value
            RETURNING w.campaign, w.metric, w.step, w.window_start, w.dimension, w.value, w.revision, w.count, w.uniques,
                w.p50_micros, w.p95_micros, w.p99_micros, w.sum_micros::text AS sum
            """)
        return try rows.map(WindowRow.init).sorted()
    }

    private struct Columns {
        let campaigns, metrics, steps, starts, ends, dimensions, values: BinaryArray

        init(_ states: some RandomAccessCollection<WindowState>) {
            campaigns = BinaryArray(texts: states.map(\.series.campaign.text))
            metrics = BinaryArray(texts: states.map(\.series.metric.text))
            steps = BinaryArray(texts: states.map(\.window.step.rawValue))
            starts = BinaryArray(times: states.map(\.window.startTime))
            ends = BinaryArray(times: states.map { Timestamp(milliseconds: $0.window.end) })
            dimensions = BinaryArray(texts: states.map { $0.series.part?.dimension.text ?? "" })
            values = BinaryArray(texts: states.map { $0.series.part?.value.text ?? "" })
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
        uniques = try PostgresFault.reading("unique_sketch of a window") {
            try UniqueSketch(stored: row.value("unique_sketch"))
        }
        quantiles = try PostgresFault.reading("quantile_sketch of a window") {
            try QuantileSketch(stored: row.value("quantile_sketch"))
        }
    }
}
