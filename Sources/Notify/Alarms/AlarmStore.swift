internal import Flotilla
internal import JSON
internal import Model
internal import Platform
internal import Postgres

/// Alarms in Postgres.
struct AlarmStore: Sendable {
    let transaction: PostgresTransaction

    /// Compared byte by byte, as Postgres does: Swift's strings take two ways of writing é for one.
    struct Key: Hashable, Sendable, Comparable {
        private let bytes: [ByteText]

        init(rule: String, campaign: String, value: String) { bytes = [rule, campaign, value].map { ByteText($0) } }

        var rule: String { bytes[0].text }
        var campaign: String { bytes[1].text }
        var value: String { bytes[2].text }

        static func < (left: Key, right: Key) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
    }

    struct Row: Sendable {
        let key: Key
        var alarm: Alarm
        var digest: String
        var heardAt: Timestamp
        /// When its next window is missed, as it was stored.
        var dueAt: Timestamp?
    }

    /// Locks what there is of these and makes what there is not.
    func hold(_ digests: [Key: String], _ partition: Partition, _ now: Timestamp) async throws -> [Key: Row] {
        guard !digests.isEmpty else { return [:] }
        let keys = digests.keys.sorted()
        let fresh = try Self.text(Alarm())
        // Conflicting inserts wait for each other as locks do, so both go by the same order.
        transaction.later(
            """
            INSERT INTO alarms (rule, campaign, value, digest, phase, state, partition, heard_at)
            SELECT r, c, v, d, 'calm', \(fresh), \(partition.rawValue), \(now)
            FROM unnest(\(keys.map(\.rule))::text[], \(keys.map(\.campaign))::text[], \(keys.map(\.value))::text[],
                \(keys.map { digests[$0] ?? "" })::text[]) AS wanted (r, c, v, d)
            ORDER BY r COLLATE "C", c COLLATE "C", v COLLATE "C"
            ON CONFLICT DO NOTHING
            """)
        let rows = try await transaction.query(
            """
            SELECT a.* FROM alarms a
            JOIN unnest(\(keys.map(\.rule))::text[], \(keys.map(\.campaign))::text[], \(keys.map(\.value))::text[])
                AS wanted (r, c, v) ON (a.rule, a.campaign, a.value) = (r, c, v)
            ORDER BY rule COLLATE "C", campaign COLLATE "C", value COLLATE "C" FOR UPDATE OF a
            """)
        var found: [Key: Row] = [:]
        for row in try rows.map(Self.read) {
            var row = row
            if let digest = digests[row.key], digest != row.digest { (row.alarm, row.digest) = (Alarm(), digest) }
            found[row.key] = row
        }
        return found
    }

    /// Alarms of a partition whose next window is missed; those that somebody has now come next time.
    func due(_ partition: Partition, _ now: Timestamp) async throws -> [Row] {
        try await transaction.query(
            """
            SELECT * FROM alarms WHERE partition = \(partition.rawValue) AND due_at <= \(now)
            ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED
            """
        ).map(Self.read)
    }

    func save(_ rows: [(row: Row, dueAt: Timestamp?)], _ partition: Partition) throws {
        guard !rows.isEmpty else { return }
        let keys = rows.map(\.row.key)
        transaction.later(
            """
            UPDATE alarms SET digest = d, phase = p, state = s, due_at = u, heard_at = h, partition = \(partition.rawValue)
            FROM unnest(\(keys.map(\.rule))::text[], \(keys.map(\.campaign))::text[], \(keys.map(\.value))::text[],
                \(rows.map(\.row.digest))::text[], \(rows.map(\.row.alarm.phase.name))::text[],
                \(try rows.map { try Self.text($0.row.alarm) })::text[], \(rows.map(\.dueAt))::timestamptz[],
                \(rows.map(\.row.heardAt))::timestamptz[]) AS new (r, c, v, d, p, s, u, h)
            WHERE (rule, campaign, value) = (r, c, v)
            """)
    }

    /// What has not been heard of for so long is forgotten. True when there may be more.
    func forget(before limit: Timestamp, atMost most: Int) async throws -> Bool {
        try await transaction.execute(
            """
            DELETE FROM alarms WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM alarms WHERE heard_at < \(limit) LIMIT \(most)::int FOR UPDATE SKIP LOCKED))
            """) == most
    }

    private static func text(_ alarm: Alarm) throws -> String { String(decoding: try alarm.jsonBytes(), as: UTF8.self) }

    private static func read(_ row: PostgresRow) throws -> Row {
        let key = Key(
            rule: try row.value("rule"), campaign: try row.value("campaign"), value: try row.value("value"))
        let text: String = try row.value("state")
        // What a later build has written begins anew here.
        let alarm = (try? JSONDocument(parsing: text).root.decode(Alarm.self)) ?? Alarm()
        return Row(
            key: key, alarm: alarm, digest: try row.value("digest"), heardAt: try row.value("heard_at"),
            dueAt: try row.optional("due_at"))
    }
}
