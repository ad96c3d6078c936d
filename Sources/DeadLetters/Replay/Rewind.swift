internal import Flotilla
package import Model
internal import Platform
internal import Postgres

// Reading again what was read: a job like a replay, of records that did not fail.
//
// Its records go to the handler's replay topic too, so nobody else gets them and the group's offsets stay where they
// are. Their round is above every one that a record of the handler has had, so that the once-only memory, which answers
// "done" to whoever reads a topic again, lets them pass; a handler with state passes them over itself. Items are made a
// few at a time, when their turn comes: of a day's records it would be millions.
extension DeadLetterIndex {
    /// What of a partition is read again.
    package struct RewindRange: Sendable, Hashable {
        package let family: TopicFamily
        package let partition: Partition
        package let first: Offset
        /// One past the last.
        package let past: Offset

        package init(_ family: TopicFamily, _ partition: Partition, _ first: Offset, past: Offset) {
            self.family = family
            self.partition = partition
            self.first = first
            self.past = past
        }

        package var count: Int64 { max(0, past.rawValue - first.rawValue) }
    }

    package struct RewindOrder: Sendable {
        package var handler: HandlerName
        package var ranges: [RewindRange]
        /// What was asked for, for whoever looks later.
        package var filter: DeadLetterFilter
        package var rate = 1000
        package var who: String

        package init(_ handler: HandlerName, _ ranges: [RewindRange], _ filter: DeadLetterFilter, who: String) {
            self.handler = handler
            self.ranges = ranges
            self.filter = filter
            self.who = who
        }
    }

    /// Has the records wait for a worker to publish them.
    package func rewind(_ order: RewindOrder) async throws -> ReplayJob {
        let id = String(UUIDValue.version7().description.suffix(8))
        let ranges = order.ranges.filter { $0.count > 0 }
        let total = ranges.reduce(0) { $0 + $1.count }
        guard total > 0 else { throw Refused("nothing of that time was read: nothing is read again") }
        var (shifts, before): ([Int64], Int64) = ([], 0)
        for range in ranges {
            shifts.append(before - range.first.rawValue)
            before += range.count
        }
        let numbers = shifts
        return try await change { transaction in
            // Two at once are to have two rounds.
            transaction.later("SELECT pg_advisory_xact_lock(hashtext('flotilla rewind'))")
            transaction.later(
                """
                INSERT INTO jobs (id, made_by, filter, to_source, rate, canary, state, total, is_rewind)
                VALUES (\(id), \(order.who), \(order.filter.json), false, \(order.rate), 0, 'waiting', \(total), true)
                """)
            transaction.later(
                """
                INSERT INTO ranges (job, topic, handler, partition, next_offset, until_offset, shift, round)
                SELECT \(id), t, \(order.handler.rawValue), p, f, u, s, 1 + greatest(
                    (SELECT coalesce(max(replays), 0) FROM entries WHERE handler = \(order.handler.rawValue)),
                    (SELECT coalesce(max(round), 0) FROM ranges WHERE handler = \(order.handler.rawValue)))
                FROM unnest(
                    \(ranges.map(\.family.source.rawValue))::text[], \(ranges.map(\.partition.rawValue))::int[],
                    \(ranges.map(\.first.rawValue))::bigint[], \(ranges.map(\.past.rawValue))::bigint[],
                    \(numbers)::bigint[]) AS r (t, p, f, u, s)
                """)
            transaction.later(
                Self.audit(
                    order.who, "rewind", order.filter.json, Int(clamping: total), job: id, "made a job of \(total)"))
            guard let row = try await transaction.query("SELECT * FROM jobs WHERE id = \(id)").first else {
                throw Refused("the job is gone")
            }
            return try ReplayJob(row)
        }
    }

    /// Makes the next items of a rewind, which are about to be sent. What is a dead letter that nobody has resolved is
    /// left to its replay; where that cannot be any more, this is it.
    func nextRewound(
        _ job: ReplayJob, limit: Int, _ transaction: PostgresTransaction
    ) async throws -> [ReplayItem] {
        while true {
            let rows = try await transaction.query(
                """
                WITH range AS (
                    SELECT * FROM ranges WHERE job = \(job.id) AND next_offset < until_offset
                    ORDER BY topic, partition LIMIT 1 FOR UPDATE)
                UPDATE ranges r SET next_offset = least(r.next_offset + \(limit), r.until_offset) FROM range
                WHERE r.job = range.job AND r.topic = range.topic AND r.partition = range.partition
                RETURNING r.topic, r.handler, r.partition, r.round, r.shift, range.next_offset AS first, r.next_offset AS past
                """)
            guard let row = rows.first else { return [] }
            let family = TopicFamily(
                TopicName(try row.value("topic", as: String.self)),
                HandlerName(try row.value("handler", as: String.self)))
            let (first, past): (Int64, Int64) = (try row.value("first"), try row.value("past"))
            let (shift, round): (Int64, Int64) = (try row.value("shift"), try row.value("round"))
            let partition = Partition(try row.value("partition"))
            let letters = (first..<max(first, past)).map {
                DeadLetter(rewinding: family, partition, Offset($0))
            }
            // Of what has expired there is only the source's record left, and nobody has handled it.
            let found = try await transaction.query(
                """
                INSERT INTO items (job, number, entry, replays, topic, handler, partition, record_offset, died, sent_at,
                    outcome, outcome_at)
                SELECT \(job.id), o + \(shift), u.id, \(round), \(family.source.rawValue), \(family.handler.rawValue),
                    \(partition.rawValue)::int, o, coalesce(e.state = 'expired', false),
                    CASE WHEN coalesce(e.state, 'expired') = 'expired' THEN now() END,
                    CASE WHEN e.state <> 'expired' THEN 'skipped: it is a dead letter, for dlq replay' END,
                    CASE WHEN e.state <> 'expired' THEN now() END
                FROM unnest(\(letters.map(\.id))::uuid[], \(letters.map(\.offset.rawValue))::bigint[]) AS u (id, o)
                LEFT JOIN entries e ON e.id = u.id AND e.state <> 'resolved'
                RETURNING record_offset, died, outcome IS NOT NULL AS is_left
                """)
            var (left, died): (Set<Int64>, Set<Int64>) = ([], [])
            for row in found {
                let offset: Int64 = try row.value("record_offset")
                if try row.value("is_left", as: Bool.self) { left.insert(offset) }
                if try row.value("died", as: Bool.self) { died.insert(offset) }
            }
            if !left.isEmpty {
                transaction.later("UPDATE jobs SET skipped = skipped + \(left.count) WHERE id = \(job.id)")
            }
            if !died.isEmpty {
                let ids = letters.filter { died.contains($0.offset.rawValue) }.map(\.id)
                transaction.later(
                    """
                    UPDATE entries SET state = 'replaying', state_at = now(), job = \(job.id), replays = \(round)
                    WHERE id = ANY(\(ids)::uuid[]) AND state = 'expired'
                    """)
            }
            let items = letters.filter { !left.contains($0.offset.rawValue) }.map {
                ReplayItem(
                    rewinding: $0, number: $0.offset.rawValue + shift, round: round,
                    hasDied: died.contains($0.offset.rawValue))
            }
            if !items.isEmpty { return items }
        }
    }
}
