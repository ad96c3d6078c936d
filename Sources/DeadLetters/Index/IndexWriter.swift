internal import Flotilla
internal import Kafka
package import Model
package import Platform
internal import Postgres

/// What has come by the topics since the index last looked, on its way into it.
package struct IndexBatch: Sendable {
    /// For each partition: from where, and up to where, it was read; nil at its first time.
    package var positions: [TopicPartition: (from: Offset?, to: Offset)] = [:]
    /// The last record of each partition.
    package var lasts: [TopicPartition: LastRecord] = [:]
    /// The latest copy of each.
    private(set) package var letters: [UUIDValue: DeadLetter] = [:]
    private(set) package var outcomes: [ReplayOutcome.Round: ReplayOutcome] = [:]

    package init() {}

    package var isEmpty: Bool { positions.isEmpty }

    package mutating func add(_ letter: DeadLetter) {
        guard let before = letters[letter.id] else { return letters[letter.id] = letter }
        let isLater =
            (letter.copyReplays, letter.copiedAt, letter.offset) > (before.copyReplays, before.copiedAt, before.offset)
        if isLater { letters[letter.id] = letter }
    }

    /// Of what is told of a round the worst counts, that it died: there is a dead letter then. That it was done before is
    /// no more than that.
    package mutating func add(_ outcome: ReplayOutcome) {
        if let before = outcomes[outcome.round], before.rank >= outcome.rank { return }
        outcomes[outcome.round] = outcome
    }
}

/// What a worker told of a replayed record.
package struct ReplayOutcome: Sendable, Hashable {
    package struct Round: Sendable, Hashable {
        package let id: UUIDValue
        package let job: String
        package let replays: Int64
    }

    package let round: Round
    package let outcome: String
    /// When it was so, by the clock of the worker.
    package let at: Timestamp

    /// Done before, as far as whoever was to do it remembers.
    package var isRepeat: Bool { outcome == "repeat" }
    package var isResolved: Bool { outcome == "done" || isRepeat }

    fileprivate var rank: Int { isRepeat ? 0 : isResolved ? 1 : 2 }
}

/// Somebody else moved on what this one was about to: it is to look again where everything stands.
package struct Overtaken: Error, CustomStringConvertible {
    package let description = "another process follows the dead letters too"
}

extension DeadLetterIndex {
    /// How far each partition is read.
    package func positions() async throws -> [TopicPartition: Offset] {
        try await pool.transaction { transaction in
            var found: [TopicPartition: Offset] = [:]
            for row in try await transaction.query("SELECT * FROM positions") {
                let topic = TopicName(try row.value("topic", as: String.self))
                found[TopicPartition(topic, Partition(try row.value("partition")))] = Offset(
                    try row.value("next_offset"))
            }
            return found
        }
    }

    /// Which record of each partition was read last, where that is known.
    package func lastRecords() async throws -> [TopicPartition: LastRecord] {
        try await pool.transaction { transaction in
            var found: [TopicPartition: LastRecord] = [:]
            for row in try await transaction.query("SELECT * FROM positions WHERE last_at IS NOT NULL") {
                let topic = TopicName(try row.value("topic", as: String.self))
                found[TopicPartition(topic, Partition(try row.value("partition")))] = LastRecord(
                    id: try row.optional("last_id"), at: try row.value("last_at"))
            }
            return found
        }
    }

    /// Takes a batch in, whole or not at all. Throws `Overtaken` when it does not follow what is there.
    package func take(_ batch: IndexBatch) async throws {
        try await change { transaction in
            try await move(batch, transaction)
            // In one order, so that two who write the same rows never wait for each other.
            let letters = batch.letters.values.sorted { $0.id.description < $1.id.description }
            if !letters.isEmpty { transaction.later(upsert(letters)) }
            let outcomes = batch.outcomes.values.sorted { $0.round.id.description < $1.round.id.description }
            if !outcomes.isEmpty { for statement in note(outcomes) { transaction.later(statement) } }
        }
    }

    private func move(
        _ batch: IndexBatch, _ transaction: PostgresTransaction
    ) async throws {
        let places = batch.positions.sorted { $0.key < $1.key }
        for isFirst in [true, false] {
            let some = places.filter { ($0.value.from == nil) == isFirst }
            guard !some.isEmpty else { continue }
            let topics = BinaryArray(texts: some.map(\.key.topic.rawValue))
            let partitions = BinaryArray(integers: some.map { Int64($0.key.partition.rawValue) })
            let to = BinaryArray(integers: some.map(\.value.to.rawValue))
            let from = BinaryArray(integers: some.map { $0.value.from?.rawValue ?? 0 })
            let lasts = some.map { batch.lasts[$0.key] }
            let ids = BinaryArray(texts: lasts.map { $0?.id?.description ?? "" })
            let times = BinaryArray(integers: lasts.map { $0?.at.milliseconds })
            let given: SQL = """
                (SELECT topic, partition, a, b, nullif(id, '')::uuid AS id, to_timestamp(at / 1000.0) AS at
                FROM unnest(\(topics)::text[], \(partitions)::bigint[], \(from)::bigint[], \(to)::bigint[], \(ids)::text[],
                    \(times)::bigint[]) AS u (topic, partition, a, b, id, at)) u
                """
            let moved = try await transaction.execute(
                isFirst
                    ? """
                    INSERT INTO positions (topic, partition, next_offset, last_id, last_at)
                    SELECT topic, partition, b, id, at FROM \(given) ON CONFLICT DO NOTHING
                    """
                    : """
                    UPDATE positions p SET next_offset = u.b, last_id = u.id, last_at = u.at FROM \(given)
                    WHERE p.topic = u.topic AND p.partition = u.partition AND p.next_offset = u.a
                    """)
            guard moved == some.count else { throw Overtaken() }
        }
    }

    private func upsert(_ letters: [DeadLetter]) -> SQL {
        func texts(_ value: (DeadLetter) -> String) -> BinaryArray { BinaryArray(texts: letters.map(value)) }
        func numbers(_ value: (DeadLetter) -> Int64) -> BinaryArray { BinaryArray(integers: letters.map(value)) }
        func times(_ value: (DeadLetter) -> Timestamp) -> BinaryArray { BinaryArray(times: letters.map(value)) }
        return """
            INSERT INTO entries (
                id, topic, handler, partition, dlq_offset, src_partition, src_offset, src_timestamp, reason, fingerprint,
                error_type, error_message, stage, ce_type, event_id, event_source, key, attempts, first_failed, at,
                copied_at, copy_replays, is_shed, src_topic, replays, state)
            SELECT u.a::uuid, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, v, w, x, y, w, 'open'
            FROM unnest(
                \(texts { $0.id.description })::text[], \(texts { $0.family.source.rawValue })::text[],
                \(texts { $0.family.handler.rawValue })::text[], \(numbers { Int64($0.partition.rawValue) })::bigint[],
                \(numbers { $0.offset.rawValue })::bigint[], \(numbers { Int64($0.source.partition.rawValue) })::bigint[],
                \(numbers { $0.source.offset.rawValue })::bigint[],
                \(BinaryArray(integers: letters.map(\.source.timestamp)))::bigint[], \(texts(\.reason))::text[],
                \(texts(\.fingerprint))::text[], \(texts(\.errorType))::text[], \(texts(\.errorMessage))::text[],
                \(texts(\.stage))::text[], \(texts(\.type))::text[], \(texts(\.eventID))::text[],
                \(texts(\.eventSource))::text[], \(letters.map(\.key))::text[], \(numbers { Int64($0.attempts) })::bigint[],
                \(times(\.firstFailed))::timestamptz[], \(times(\.at))::timestamptz[], \(times(\.copiedAt))::timestamptz[],
                \(numbers(\.copyReplays))::bigint[], \(letters.map(\.isShed))::boolean[],
                \(texts { $0.source.topic == $0.family.source ? "" : $0.source.topic.rawValue })::text[])
                AS u (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, v, w, x, y)
            ON CONFLICT (id) DO UPDATE SET
                partition = excluded.partition, dlq_offset = excluded.dlq_offset, reason = excluded.reason,
                fingerprint = excluded.fingerprint, error_type = excluded.error_type,
                error_message = excluded.error_message, stage = excluded.stage, attempts = excluded.attempts,
                at = excluded.at, copied_at = excluded.copied_at, copy_replays = excluded.copy_replays,
                is_shed = excluded.is_shed, replays = greatest(entries.replays, excluded.replays),
                state = \(Self.stateOfCopy),
                state_at = CASE WHEN \(Self.stateOfCopy) = entries.state THEN entries.state_at ELSE now() END
            WHERE (excluded.copy_replays, excluded.copied_at, excluded.dlq_offset)
                > (entries.copy_replays, entries.copied_at, entries.dlq_offset)
            """
    }

    /// A copy of the latest round says that it failed again, and one of an earlier round says nothing new. What was
    /// resolved and is a dead letter again later, both by the clocks of workers, is open; what was discarded stays so until
    /// somebody restores it.
    private static let stateOfCopy: SQL = """
        CASE WHEN excluded.copy_replays > entries.replays THEN 'open'
            WHEN excluded.copy_replays < entries.replays THEN entries.state
            WHEN entries.state IN ('replaying', 'replayed', 'expired') THEN 'open'
            WHEN entries.state = 'resolved' AND excluded.at >= entries.state_at THEN 'open'
            ELSE entries.state END
        """

    private func note(_ outcomes: [ReplayOutcome]) -> [SQL] {
        let ids = BinaryArray(texts: outcomes.map(\.round.id.description))
        let jobs = BinaryArray(texts: outcomes.map(\.round.job))
        let replays = BinaryArray(integers: outcomes.map(\.round.replays))
        let told = BinaryArray(texts: outcomes.map(\.outcome))
        let times = BinaryArray(times: outcomes.map(\.at))
        let given: SQL = """
            unnest(\(ids)::text[], \(jobs)::text[], \(replays)::bigint[], \(told)::text[], \(times)::timestamptz[])
                AS o (id, job, replays, told, at)
            """
        return [
            """
            UPDATE entries e SET state = CASE WHEN o.told IN ('done', 'repeat') THEN 'resolved' ELSE 'open' END,
                -- What dies after that is known by its time. A clock that is far off must not have it forgotten today.
                state_at = CASE WHEN o.told IN ('done', 'repeat')
                    THEN greatest(least(o.at, now()), now() - interval '8 days') ELSE now() END
            FROM \(given) WHERE e.id = o.id::uuid AND e.job = o.job AND e.replays = o.replays
                AND (e.state IN ('replaying', 'replayed', 'expired') OR e.state = 'resolved' AND o.told LIKE 'dead:%'
                    -- It was given up, and its end is told after all.
                    OR e.state = 'open' AND o.told IN ('done', 'repeat') AND EXISTS (
                        SELECT FROM items i WHERE i.entry = e.id AND i.job = o.job AND i.replays = o.replays
                            AND i.outcome LIKE 'skipped:%'))
            """,
            """
            WITH noted AS (
                UPDATE items i SET outcome = o.told, outcome_at = now()
                FROM \(given) JOIN items b ON b.entry = o.id::uuid AND b.job = o.job AND b.replays = o.replays
                    AND (b.outcome IS NULL OR b.outcome IN ('done', 'repeat') AND o.told LIKE 'dead:%')
                -- What somebody else has ended meanwhile is not counted twice.
                WHERE i.job = b.job AND i.number = b.number AND i.outcome IS NOT DISTINCT FROM b.outcome
                RETURNING i.job, o.told, coalesce(b.outcome, '') AS before)
            UPDATE jobs j SET resolved = resolved + n.good, failed = failed + n.bad, repeats = repeats + n.again
            FROM (SELECT job,
                count(*) FILTER (WHERE told IN ('done', 'repeat'))
                    - count(*) FILTER (WHERE before IN ('done', 'repeat')) AS good,
                count(*) FILTER (WHERE told LIKE 'dead:%') AS bad,
                count(*) FILTER (WHERE told = 'repeat') - count(*) FILTER (WHERE before = 'repeat') AS again
                FROM noted GROUP BY job) n
            WHERE j.id = n.job
            """,
        ]
    }
}
