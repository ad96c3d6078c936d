internal import Contracts
internal import Flotilla
internal import Model
internal import Platform
internal import Postgres

// What was replayed, and nobody tells the end of.
extension DeadLetterIndex {
    /// What became of what was to be given up.
    package struct GivenUp: Sendable, Hashable {
        /// So many are open again.
        package let count: Int
        /// So many are as they were.
        package let left: Int
        /// Why, and what is to be done about it; empty when none was left.
        package let why: String
    }

    /// Has what was replayed, and whose end nobody has told, be open again: what the handler is past, or what its topic
    /// has let go of. When it is told after all, that counts. What may still be handled is left as it is.
    package func giveUp(
        _ filter: DeadLetterFilter, limit: Int? = nil, confirmed: Int, who: String, waiting copies: WaitingCopies
    ) async throws -> GivenUp {
        try await change { transaction in
            let rows = try await transaction.query(
                """
                WITH chosen AS (\(filter.chosen(.replayed, limit))), judged AS (
                    SELECT e.id, e.topic, e.handler, p.to_source, coalesce(
                        coalesce(i.published_at, e.state_at) < \(copies.at)::timestamptz
                            AND CASE WHEN p.place IS NULL THEN m.next >= m.past AND (NOT p.to_source OR m.tries = 0)
                                ELSE p.place < m.next OR p.place >= m.past END
                            AND NOT EXISTS (SELECT FROM \(copies.tries) WHERE w.id = e.id)
                            AND NOT EXISTS (SELECT FROM \(copies.sources) WHERE s.topic = e.topic
                                AND s.handler = e.handler AND s.partition = e.src_partition AND s.place = p.place
                                AND p.to_source), false) AS is_free
                    FROM chosen c JOIN entries e ON e.id = c.id
                    LEFT JOIN jobs j ON j.id = e.job
                    LEFT JOIN items i ON i.entry = e.id AND i.job = e.job AND i.replays = e.replays
                    CROSS JOIN LATERAL (SELECT coalesce(j.to_source, false) AS to_source,
                        CASE WHEN j.to_source THEN i.source_offset ELSE i.published_offset END AS place) p
                    LEFT JOIN \(copies.rows) ON m.topic = e.topic AND m.handler = e.handler
                        AND m.partition = e.src_partition AND m.to_source = p.to_source
                ), moved AS (
                    UPDATE entries e SET state = 'open', state_at = now() FROM judged g WHERE e.id = g.id AND g.is_free
                    RETURNING e.id, e.job, e.replays
                ), ended AS (
                    UPDATE items i SET outcome = \("skipped: given up by \(who)"), outcome_at = now() FROM moved m
                    WHERE i.entry = m.id AND i.job = m.job AND i.replays = m.replays AND i.outcome IS NULL RETURNING i.job
                ), counted AS (
                    UPDATE jobs j SET skipped = skipped + n FROM (SELECT job, count(*) AS n FROM ended GROUP BY job) e
                    WHERE j.id = e.job AND NOT j.to_source)
                SELECT topic, handler, to_source, is_free, count(*) AS n FROM judged GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3
                """)
            var (count, left, places, handlers, unseen) = (0, 0, [String](), [String](), [String]())
            for row in rows {
                let number: Int = try row.value("n")
                if try row.value("is_free", as: Bool.self) {
                    count += number
                    continue
                }
                left += number
                let handler: String = try row.value("handler")
                let family = TopicFamily(TopicName(try row.value("topic", as: String.self)), HandlerName(handler))
                let isSource: Bool = try row.value("to_source")
                places.append("\(number) in \(copies.fleet.topic(isSource ? family.source : family.replay))")
                if !handlers.contains(handler) { handlers.append(handler) }
                if let why = copies.trouble(family, toSource: isSource) { unseen.append(why) }
            }
            let why =
                "the handler may still come to their copies (\(places.joined(separator: ", ")), or in a retry topic behind it), "
                + "and opened now they would be handled twice. Start \(handlers.joined(separator: ", ")), which ends them, "
                + "or wait until the topic's retention has deleted the copies"
                + unseen.map { ". \($0)" }.joined()
            guard count + left > 0 else { throw Refused("none that is replayed fits: nothing has changed") }
            guard count > 0 else { throw Refused("none of \(left) is given up: \(why)") }
            guard count <= confirmed else { throw Refused.more(count, than: confirmed) }
            transaction.later(
                Self.audit(who, "restore", filter.json, count, "\(count) open" + (left > 0 ? ", \(left) left" : "")))
            return GivenUp(count: count, left: left, why: left > 0 ? why : "")
        }
    }

    /// Where copies of what is replayed and fits may lie, and when that was.
    func replayedPlaces(_ filter: DeadLetterFilter) async throws -> (Timestamp, [WaitingCopies.Place]) {
        try await pool.transaction { transaction in
            let at: Timestamp? = try await transaction.query("SELECT now() AS at").first?.value("at")
            let places = try await transaction.query(
                """
                SELECT DISTINCT e.topic, e.handler, e.src_partition, coalesce(j.to_source, false) AS to_source
                FROM (SELECT * FROM entries WHERE \(filter.condition) AND state = 'replayed') e
                LEFT JOIN jobs j ON j.id = e.job ORDER BY 1, 2, 3, 4
                """
            ).map { row in
                WaitingCopies.Place(
                    family: TopicFamily(
                        TopicName(try row.value("topic", as: String.self)),
                        HandlerName(try row.value("handler", as: String.self))),
                    toSource: try row.value("to_source"), partition: Partition(try row.value("src_partition")))
            }
            return (at ?? Timestamp(milliseconds: 0), places)
        }
    }
}
