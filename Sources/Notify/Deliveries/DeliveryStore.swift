internal import Flotilla
internal import JSON
internal import Platform
internal import Postgres

/// The handler's side of deliveries: it writes them down, and tells of their ends.
struct DeliveryStore: Sendable {
    let transaction: PostgresTransaction

    /// What goes into one statement: all of them are in memory, here and there.
    static let statement = (rows: 1000, bytes: 4 << 20)

    /// Writes deliveries down; those that are there already are the same.
    func insert(_ deliveries: [NewDelivery]) async throws {
        let all = deliveries.sorted { ($0.id.high, $0.id.low) < ($1.id.high, $1.id.low) }
        var piece: [NewDelivery] = []
        var bytes = 0
        for delivery in all {
            if piece.count == Self.statement.rows || bytes + delivery.bytes > Self.statement.bytes {
                try await write(piece)
                (piece, bytes) = ([], 0)
            }
            piece.append(delivery)
            bytes += delivery.bytes
        }
        try await write(piece)
    }

    private func write(_ all: [NewDelivery]) async throws {
        guard !all.isEmpty else { return }
        try await transaction.execute(
            """
            INSERT INTO deliveries
                (id, rule, channel, kind, campaign, recipient, subject, body, expires_at, event_source, event_id,
                trace_parent)
            SELECT i, r, c, k, p, t, s, b, now() + g * interval '1 millisecond', o, e, w
            FROM unnest(\(all.map(\.id))::uuid[], \(all.map(\.rule))::text[], \(all.map(\.channel))::text[],
                \(all.map(\.kind))::text[], \(all.map(\.campaign))::text[], \(all.map(\.recipient))::text[],
                \(all.map(\.subject))::text[], \(all.map(\.body))::text[],
                \(all.map { $0.giveUpAfter.milliseconds })::bigint[], \(all.map(\.eventSource))::text[],
                \(all.map(\.eventID))::text[], \(all.map(\.trace))::text[]) AS new (i, r, c, k, p, t, s, b, g, o, e, w)
            ON CONFLICT (id) DO NOTHING
            """)
    }

    /// Ends that nobody has been told of, each by one transaction: some thousand a second and partition.
    func takeEnded() async throws -> [Ended] {
        try await transaction.query(
            """
            UPDATE deliveries SET told_at = now() WHERE id IN (
                SELECT id FROM deliveries WHERE ended_at IS NOT NULL AND told_at IS NULL
                ORDER BY ended_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
            RETURNING id, rule, channel, kind, campaign, outcome, attempts, status, reason, made_at, ended_at,
                trace_parent
            """
        ).map(Ended.init)
    }

    /// What was told of for so long leaves. True when there may be more.
    func forget(after keep: Duration, atMost most: Int) async throws -> Bool {
        try await transaction.execute(
            """
            DELETE FROM deliveries WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM deliveries WHERE told_at < now() - \(keep.milliseconds)::bigint * interval '1 millisecond'
                LIMIT \(most)::int FOR UPDATE SKIP LOCKED))
            """) == most
    }
}

/// What became of a delivery, as `notifications.sent` tells it.
struct Ended: Sendable {
    let id: String
    let campaign: String?
    let json: [UInt8]
    /// Its `traceparent`.
    let trace: String?

    init(_ row: PostgresRow) throws {
        let id: String = try row.value("id")
        let campaign: String? = try row.optional("campaign")
        let status: Int? = try row.optional("status")
        let reason: String? = try row.optional("reason")
        let attempts: Int = try row.value("attempts")
        let times: [(String, Timestamp)] = [
            ("made_at", try row.value("made_at")), ("ended_at", try row.value("ended_at")),
        ]
        var texts: [(String, String)] = []
        for name in ["rule", "channel", "kind", "outcome"] { texts.append((name, try row.value(name))) }
        var writer = JSONWriter()
        writer.object { json in
            json.member("delivery_id", id)
            for (name, text) in texts { json.member(name, text) }
            if let campaign { json.member("campaign_id", campaign) }
            json.member("attempts", attempts)
            if let status { json.member("status", status) }
            if let reason { json.member("reason", reason) }
            for (name, time) in times { json.member(name, time.milliseconds) }
        }
        trace = try row.optional("trace_parent")
        (self.id, self.campaign, json) = (id, campaign, writer.bytes)
    }
}
