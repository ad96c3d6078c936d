internal import Flotilla
package import Model
package import Platform
internal import Postgres

/// Dead letters of a family, open or chosen by a replay, that are about to be deleted.
package struct ExpiringLetters: Sendable {
    package let family: TopicFamily
    package let count: Int
    /// When the first of them goes.
    package let first: Timestamp
}

extension DeadLetterIndex {
    /// What ended is kept for so long.
    static let keptAfterEnd = "90 days"

    /// Forgets some of what ended long ago; how many. What went to its source is nobody's to tell of.
    func forget(atMost count: Int) async throws -> Int {
        try await change { transaction in
            try await transaction.execute(
                """
                DELETE FROM entries WHERE id IN (
                    (SELECT id FROM entries WHERE state IN ('resolved', 'discarded', 'expired')
                        AND state_at < now() - \(Self.keptAfterEnd)::interval LIMIT \(count))
                    UNION ALL (SELECT id FROM entries e WHERE state = 'replayed'
                        AND state_at < now() - \(Self.keptAfterEnd)::interval
                        AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = e.job AND NOT j.to_source)
                    LIMIT \(count)) LIMIT \(count))
                """)
        }
    }

    /// Where something lay that nobody has told the end of, and that its replay topic has let go of.
    /// `lows`: where replay topics begin.
    func lost(below lows: [RetentionWatch.Low]) async throws -> [WaitingCopies.Place] {
        guard let highest = lows.map(\.offset.rawValue).max() else { return [] }
        return try await pool.transaction { transaction in
            try await transaction.query(
                "SELECT DISTINCT l.topic, l.handler, l.partition \(Self.lostItems(lows, highest)) ORDER BY 1, 2, 3"
            ).map { row in
                WaitingCopies.Place(
                    family: TopicFamily(
                        TopicName(try row.value("topic", as: String.self)),
                        HandlerName(try row.value("handler", as: String.self))),
                    toSource: false, partition: Partition(try row.value("partition")))
            }
        }
    }

    /// Items `i`, and `l` where they lay.
    private static func lostItems(_ lows: [RetentionWatch.Low], _ highest: Int64) -> SQL {
        """
        FROM items i LEFT JOIN entries e ON e.id = i.entry AND i.record_offset IS NULL
            JOIN \(RetentionWatch.rows(lows)) ON l.topic = coalesce(i.topic, e.topic) AND l.handler = coalesce(i.handler, e.handler)
                AND l.partition = coalesce(i.partition, e.src_partition)
            -- The first is for the index: only what may be gone is looked at.
            WHERE i.published_offset < \(highest)::bigint AND i.published_offset < l.low AND i.outcome IS NULL
        """
    }

    /// Ends items whose end nobody will tell, and has what they replayed be open again; how many there were. What waits for
    /// its next try is left, and so is what nobody could look for.
    /// `lows`: where replay topics begin.
    func release(below lows: [RetentionWatch.Low], but copies: WaitingCopies) async throws -> Int {
        let seen = Set(copies.marks.map(\.place))
        let lows = lows.filter { seen.contains(.init(family: $0.family, toSource: false, partition: $0.partition)) }
        guard let highest = lows.map(\.offset.rawValue).max() else { return 0 }
        return try await change { transaction in
            let rows = try await transaction.query(
                """
                WITH lost AS (
                    UPDATE items SET outcome = 'skipped: its topic let go of it, and nobody told its end',
                        outcome_at = now()
                    FROM (SELECT i.job, i.number \(Self.lostItems(lows, highest))) gone
                    WHERE items.job = gone.job AND items.number = gone.number
                        AND NOT EXISTS (SELECT FROM \(copies.tries) WHERE w.id = items.entry)
                    RETURNING items.job, items.entry, items.replays
                ), counted AS (
                    UPDATE jobs j SET skipped = skipped + n FROM (SELECT job, count(*) AS n FROM lost GROUP BY job) l
                    WHERE j.id = l.job
                ), opened AS (
                    UPDATE entries e SET state = 'open', state_at = now() FROM lost
                    WHERE e.id = lost.entry AND e.job = lost.job AND e.replays = lost.replays AND e.state = 'replayed')
                SELECT count(*) AS n FROM lost
                """)
            return try rows.first?.value("n") ?? 0
        }
    }

    /// What is open, or waits in a replay, and is gone within 72 hours, or within half of what its topic keeps when that is
    /// less: where it keeps everything for a day, nobody is warned from the first moment on.
    package func expiring() async throws -> [ExpiringLetters] {
        try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT r.topic, r.handler, count(*) AS n, min(e.copied_at + r.milliseconds * interval '1 millisecond') AS first
                FROM retentions r JOIN entries e ON e.topic = r.topic AND e.handler = r.handler AND e.state IN ('open', 'replaying')
                    AND e.copied_at < now() - r.milliseconds * interval '1 millisecond' + least(
                        \("\(RetentionWatch.notice.milliseconds) milliseconds")::interval,
                        r.milliseconds * interval '0.5 millisecond')
                WHERE r.milliseconds > 0 AND r.milliseconds < 100000000000000 GROUP BY 1, 2 ORDER BY 1, 2
                """
            ).map { row in
                ExpiringLetters(
                    family: TopicFamily(
                        TopicName(try row.value("topic", as: String.self)),
                        HandlerName(try row.value("handler", as: String.self))),
                    count: try row.value("n"), first: try row.value("first"))
            }
        }
    }
}
