internal import Flotilla
package import Model
package import Platform
package import Postgres

/// The index, for whoever asks it: lists, groups, one dead letter.
///
/// A list goes on where the last row of the page before was, by the order of an index, so that the last page costs what
/// the first does; groups come from counters.
package struct DeadLetterIndex: Sendable {
    package let pool: PostgresPool

    package init(_ pool: PostgresPool) { self.pool = pool }

    /// Makes the tables, or brings them up to date.
    package func prepare() async throws { try await pool.migrate(DeadLetterTables.migrations, group: "deadletters") }

    /// A transaction that changes something. Several change the same counters, each in an order of its own; one that meets
    /// another is begun again.
    func change<Value>(_ body: (PostgresTransaction) async throws -> Value) async throws -> Value {
        for _ in 0..<10 {
            do { return try await pool.transaction(body) } catch let fault as PostgresFault
                where fault.kind == .conflict
            {}
        }
        return try await pool.transaction(body)
    }

    /// A place in a list: behind this dead letter.
    package struct Place: Sendable, Hashable, CustomStringConvertible {
        package let at: Timestamp
        package let id: UUIDValue

        package init(at: Timestamp, id: UUIDValue) {
            self.at = at
            self.id = id
        }

        package init?(text: String) {
            let parts = text.split(separator: ".", maxSplits: 1)
            guard parts.count == 2, let at = Int64(parts[0]), (0...253_402_300_799_999).contains(at),
                let id = UUIDValue(text: String(parts[1]))
            else { return nil }
            self.init(at: Timestamp(milliseconds: at), id: id)
        }

        package var description: String { "\(at.milliseconds).\(id)" }
    }

    /// The latest first.
    package func list(
        _ filter: DeadLetterFilter, limit: Int, after place: Place? = nil
    ) async throws -> [IndexedLetter] {
        var condition = filter.condition
        if let place { condition = "\(condition) AND (at, id) < (\(place.at)::timestamptz, \(place.id)::uuid)" }
        let statement: SQL = "SELECT * FROM entries WHERE \(condition) ORDER BY at DESC, id DESC LIMIT \(limit)"
        return try await pool.transaction { transaction in
            try await transaction.query(statement).map { try IndexedLetter($0) }
        }
    }

    /// How many fit.
    package func count(_ filter: DeadLetterFilter) async throws -> Int {
        let statement: SQL = "SELECT coalesce(sum(n), 0)::bigint AS n FROM (\(filter.counted)) counted"
        return try await pool.transaction { try await $0.query(statement).first?.value("n") ?? 0 }
    }

    package func find(_ id: UUIDValue) async throws -> IndexedLetter? {
        try await pool.transaction { transaction in
            try await transaction.query("SELECT * FROM entries WHERE id = \(id)").first.map { try IndexedLetter($0) }
        }
    }

    /// How many of those that fit are in each state.
    package func counts(_ filter: DeadLetterFilter = DeadLetterFilter()) async throws -> [DeadLetterState: Int] {
        let statement: SQL = "SELECT state, sum(n) AS n FROM (\(filter.counted)) counted GROUP BY state"
        return try await pool.transaction { transaction in
            var counts: [DeadLetterState: Int] = [:]
            for row in try await transaction.query(statement) {
                if let state = DeadLetterState(rawValue: try row.value("state")) { counts[state] = try row.value("n") }
            }
            return counts
        }
    }

    // MARK: Groups

    /// Those with most in it that are open, and of as many the latest, first.
    package func groups(_ filter: DeadLetterFilter, limit: Int, now: Timestamp) async throws -> [DeadLetterGroup] {
        let statement: SQL = """
            WITH counted AS (\(filter.counted)), totals AS (
                SELECT fingerprint, sum(n) AS total, array_to_string(array_agg(DISTINCT topic), ' ') AS topics,
                    array_to_string(array_agg(DISTINCT reason), ' ') AS reasons,
                    coalesce(sum(n) FILTER (WHERE state = 'open'), 0) AS open,
                    coalesce(sum(n) FILTER (WHERE state = 'replaying'), 0) AS replaying,
                    coalesce(sum(n) FILTER (WHERE state = 'replayed'), 0) AS replayed,
                    coalesce(sum(n) FILTER (WHERE state = 'resolved'), 0) AS resolved,
                    coalesce(sum(n) FILTER (WHERE state = 'discarded'), 0) AS discarded,
                    coalesce(sum(n) FILTER (WHERE state = 'expired'), 0) AS expired
                FROM counted GROUP BY fingerprint
            ), first AS (
                SELECT g.*, t.total, t.topics, t.reasons, t.open, t.replaying, t.replayed, t.resolved, t.discarded, t.expired
                FROM totals t JOIN groups g USING (fingerprint)
                ORDER BY t.open DESC, g.last_at DESC, g.fingerprint LIMIT \(limit))
            SELECT f.*, coalesce((
                SELECT string_agg(h.back || ':' || r.count, ' ') FROM trend r, LATERAL (
                    SELECT (extract(epoch FROM date_trunc('hour', \(now)::timestamptz, 'UTC') - r.hour) / 3600)::int AS back
                ) h WHERE r.fingerprint = f.fingerprint AND h.back BETWEEN 0 AND 23
                    AND r.hour > \(now)::timestamptz - interval '25 hours'), '') AS hours
            FROM first f ORDER BY f.open DESC, f.last_at DESC, f.fingerprint
            """
        return try await pool.transaction { transaction in
            try await transaction.query(statement).map { try DeadLetterGroup($0) }
        }
    }
}

/// Dead letters that died of the same.
package struct DeadLetterGroup: Sendable, Hashable {
    package var fingerprint: String
    package var handler: HandlerName
    package var topics: [String]
    package var reasons: [String]
    package var errorType: String
    package var errorMessage: String
    package var first: Timestamp
    package var last: Timestamp
    /// The latest of them.
    package var sample: UUIDValue
    package var total: Int
    /// Nothing in it when only the topics were there to be read.
    package var counts: [DeadLetterState: Int]
    /// How many came in each of the last 24 hours, this one last.
    package var hours: [Int]
}

extension DeadLetterGroup {
    fileprivate init(_ row: PostgresRow) throws(PostgresFault) {
        fingerprint = try row.value("fingerprint")
        handler = HandlerName(try row.value("handler", as: String.self))
        topics = try row.value("topics", as: String.self).split(separator: " ").map(String.init)
        reasons = try row.value("reasons", as: String.self).split(separator: " ").map(String.init)
        (errorType, errorMessage) = (try row.value("error_type"), try row.value("error_message"))
        (first, last) = (try row.value("first_at"), try row.value("last_at"))
        sample = try row.value("sample")
        total = try row.value("total")
        counts = [:]
        counts[.open] = try row.value("open")
        counts[.replaying] = try row.value("replaying")
        counts[.replayed] = try row.value("replayed")
        counts[.resolved] = try row.value("resolved")
        counts[.discarded] = try row.value("discarded")
        counts[.expired] = try row.value("expired")
        // How many came, by how many hours ago.
        hours = Array(repeating: 0, count: 24)
        for pair in try row.value("hours", as: String.self).split(separator: " ") {
            let parts = pair.split(separator: ":")
            guard parts.count == 2, let back = Int(parts[0]), (0..<24).contains(back) else { continue }
            hours[23 - back] = Int(parts[1]) ?? 0
        }
    }
}

extension IndexedLetter {
    init(_ row: PostgresRow) throws(PostgresFault) {
        let family = TopicFamily(
            TopicName(try row.value("topic", as: String.self)), HandlerName(try row.value("handler", as: String.self)))
        let first: String = try row.value("src_topic")
        letter = DeadLetter(
            id: try row.value("id"), family: family, partition: Partition(try row.value("partition")),
            offset: Offset(try row.value("dlq_offset")),
            source: SourceCoordinates(
                topic: first.isEmpty ? family.source : TopicName(first),
                partition: Partition(try row.value("src_partition")),
                offset: Offset(try row.value("src_offset")), timestamp: try row.optional("src_timestamp")),
            reason: try row.value("reason"), fingerprint: try row.value("fingerprint"),
            errorType: try row.value("error_type"), errorMessage: try row.value("error_message"),
            stage: try row.value("stage"), type: try row.value("ce_type"), eventID: try row.value("event_id"),
            eventSource: try row.value("event_source"), key: try row.optional("key"),
            attempts: try row.value("attempts"), firstFailed: try row.value("first_failed"), at: try row.value("at"),
            copiedAt: try row.value("copied_at"), copyReplays: try row.value("copy_replays"),
            isShed: try row.value("is_shed"))
        state = DeadLetterState(rawValue: try row.value("state"))
        stateAt = try row.value("state_at")
        replays = try row.value("replays")
        job = try row.optional("job")
        note = try row.value("note")
    }
}
