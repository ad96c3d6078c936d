internal import Aggregate
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres

/// What handlers with state know of the records that were found: how far they are, and what they made of them.
struct TraceState: Sendable {
    struct Finding: Sendable {
        let handler: HandlerName
        let what: String
        let values: [(name: String, value: String)]
    }

    private(set) var findings: [Finding] = []
    /// What could not be looked at, and why.
    private(set) var faults: [String] = []

    /// Asks every handler's schema that is there; `record.progress` of those with state becomes what their state says.
    static func look(
        _ handlers: [(name: HandlerName, place: PostgresConfiguration)], _ records: inout [TraceRecord]
    ) async -> TraceState {
        var state = TraceState()
        for (name, place) in handlers {
            do {
                let pool = try PostgresPool(place)
                defer { pool.close() }
                let known = records
                let (found, positions) = try await pool.transaction { transaction in
                    try await Self.ask(name, known, transaction)
                }
                state.findings += found
                for index in records.indices {
                    guard let next = positions[records[index].place] else { continue }
                    for number in records[index].progress.indices where records[index].progress[number].handler == name
                    {
                        records[index].progress[number] = .init(handler: name, next: next, isState: true)
                    }
                }
            } catch { state.faults.append("the state of \(name) was not looked at: \(error)") }
        }
        return state
    }

    private static func ask(
        _ handler: HandlerName, _ records: [TraceRecord], _ transaction: PostgresTransaction
    ) async throws -> ([Finding], [TopicPartition: Offset]) {
        // A handler without state has no schema, and then nothing is found in it.
        guard try await has("flotilla_positions", transaction) else { return ([], [:]) }
        let mine = records.filter { record in record.progress.contains { $0.handler == handler } }
        var (findings, positions): ([Finding], [TopicPartition: Offset]) = ([], [:])
        for place in Set(mine.map(\.place)) {
            let rows = try await transaction.query(
                """
                SELECT next_offset, (SELECT count(*) FROM flotilla_outbox o
                    WHERE o.topic = p.topic AND o.partition = p.partition) AS waiting
                FROM flotilla_positions p WHERE topic = \(place.topic.rawValue) AND partition = \(place.partition.rawValue)
                """)
            guard let row = rows.first else { continue }
            positions[place] = Offset(try row.value("next_offset"))
            let waiting: Int = try row.value("waiting")
            if waiting > 0 {
                findings.append(
                    Finding(
                        handler: handler, what: "outbox",
                        values: [("place", "\(place)"), ("transactions not known to be published", "\(waiting)")]))
            }
        }
        switch handler {
        case "process": findings += try await campaigns(mine, transaction)
        case "aggregate": findings += try await windows(mine, transaction)
        case "notify": findings += try await deliveries(mine, transaction)
        case _: break
        }
        return (findings, positions)
    }

    private static func has(_ table: String, _ transaction: PostgresTransaction) async throws -> Bool {
        try await transaction.query("SELECT 1 AS one FROM pg_class WHERE oid = to_regclass(\(table))").isEmpty == false
    }

    /// The campaigns of commands, as they are now.
    private static func campaigns(_ records: [TraceRecord], _ transaction: PostgresTransaction) async throws
        -> [Finding]
    {
        var found: [Finding] = []
        for id in Set(records.compactMap(\.campaign)).sorted().prefix(Self.most) {
            let rows = try await transaction.query("SELECT state, version, changed_at FROM campaigns WHERE id = \(id)")
            guard let row = rows.first else { continue }
            let changed: Timestamp = try row.value("changed_at")
            let (version, state): (Int, String) = (try row.value("version"), try row.value("state"))
            found.append(
                Finding(
                    handler: "process", what: "campaign",
                    values: [
                        ("campaign_id", id), ("state", state), ("version", "\(version)"), ("changed_at", "\(changed)"),
                    ]))
        }
        return found
    }

    /// The windows that points count in.
    private static func windows(_ records: [TraceRecord], _ transaction: PostgresTransaction) async throws -> [Finding]
    {
        var found: [Finding] = []
        var seen: Set<String> = []
        for record in records {
            guard let campaign = record.campaign, let metric = record.metric, let time = record.time else { continue }
            for window in Window.all(containing: time) {
                guard seen.count < Self.most, seen.insert("\(campaign)\u{0}\(metric)\u{0}\(window)").inserted else {
                    continue
                }
                let rows = try await transaction.query(
                    """
                    SELECT count, revision FROM series WHERE campaign = \(campaign) AND metric = \(metric)
                    AND step = \(window.step.rawValue) AND window_start = \(window.startTime) AND dimension = ''
                    """)
                guard let row = rows.first else { continue }
                let (count, revision): (Int, Int) = (try row.value("count"), try row.value("revision"))
                found.append(
                    Finding(
                        handler: "aggregate", what: "window",
                        values: [
                            ("campaign_id", campaign), ("metric", metric), ("window_start", "\(window.startTime)"),
                            ("step", window.step.rawValue), ("count", "\(count)"), ("revision", "\(revision)"),
                        ]))
            }
        }
        return found
    }

    /// What was to be sent because of these events, and what became of it. Where it goes to is nobody's business here.
    private static func deliveries(_ records: [TraceRecord], _ transaction: PostgresTransaction) async throws
        -> [Finding]
    {
        let names = Set(records.map(\.name)).sorted { ($0.source, $0.id) < ($1.source, $1.id) }.prefix(Self.most)
        let rows = try await transaction.query(
            """
            SELECT id, rule, channel, kind, attempts, outcome, reason, made_at, ended_at FROM deliveries
            WHERE (event_source, event_id) IN (
                SELECT * FROM unnest(\(names.map(\.source))::text[], \(names.map(\.id))::text[]))
            ORDER BY made_at, id LIMIT \(Self.most)
            """)
        return try rows.map { row in
            let outcome: String? = try row.optional("outcome")
            let reason: String? = try row.optional("reason")
            let ended: Timestamp? = try row.optional("ended_at")
            let (attempts, made): (Int, Timestamp) = (try row.value("attempts"), try row.value("made_at"))
            var values: [(name: String, value: String)] = []
            for name in ["rule", "channel", "kind", "id"] { values.append((name, try row.value(name))) }
            values += [("made_at", "\(made)"), ("attempts", "\(attempts)"), ("outcome", outcome ?? "waits")]
            if let ended { values.append(("ended_at", "\(ended)")) }
            if let reason { values.append(("reason", reason)) }
            return Finding(handler: "notify", what: "delivery", values: values)
        }
    }

    private static let most = 100
}
