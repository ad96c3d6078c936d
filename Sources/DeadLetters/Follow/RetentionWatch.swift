internal import Flotilla
internal import Kafka
package import Model
package import Platform
internal import Postgres
internal import Synchronization

/// Sees which dead letters their topics have let go of, or are about to, and forgets what ended long ago.
struct RetentionWatch: Sendable {
    let follower: DeadLetterFollower

    private var index: DeadLetterIndex { follower.index }
    private var log: Log { follower.service.log }

    /// How long before its end a dead letter is warned of.
    static let notice: Duration = .seconds(72 * 3600)

    /// What fails here is told and tried again, and keeps nobody from following or replaying.
    func watch() async {
        var warnedAt = Int64.min
        var told = ""
        while !follower.service.isEnding, !Task.isCancelled {
            do {
                let trouble = try await look()
                if let trouble, trouble != told {
                    log.warning("nobody can tell when dead letters go", [("error", trouble)])
                }
                told = trouble ?? ""
                let now = Time.monotonicMilliseconds
                if warnedAt == .min || now - warnedAt >= 3_600_000 {
                    try await warn()
                    warnedAt = now
                    try await forget()
                }
            } catch  where !Task.isCancelled && !follower.service.isEnding {
                let text = ErrorText.line("\(error)", bytes: 512)
                if text != told {
                    log.warning("cannot see what topics have let go of; looking again", [("error", text)])
                }
                told = text
            } catch { return }
            await follower.service.nap(.seconds(30))
        }
    }

    /// Where a family's topic begins now.
    private struct Low: Sendable {
        let family: TopicFamily
        let partition: Partition
        let offset: Offset
    }

    /// Notes how long each topic keeps what it has, and which dead letters and replays are gone. What it may not ask of a
    /// topic, the last of them; that is no reason not to look at the others.
    private func look() async throws -> String? {
        var trouble: String?
        let admin = try Admin(follower.client, patience: .seconds(10))
        do {
            var (letters, replays): ([Low], [Low]) = ([], [])
            var kept: [(family: TopicFamily, milliseconds: Int64)] = []
            let topics = try await admin.topics(nil)
            for topic in topics.values {
                guard let family = DeadLetter.family(of: topic.name, follower.namespace) else { continue }
                do throws(KafkaFault) {
                    letters += try await lows(of: topic, family, admin)
                    do throws(KafkaFault) {
                        let text = try await admin.settings(of: topic.name)["retention.ms"]?.value
                        kept.append((family, text.flatMap { Int64($0) } ?? -1))
                    } catch {
                        guard error.kind == .denied else { throw error }
                        trouble = "\(error)"
                    }
                    if let replay = topics[follower.namespace.topic(family.replay)] {
                        replays += try await lows(of: replay, family, admin)
                    }
                } catch {
                    // It may go between two questions.
                    guard error.kind == .unknownTopic || error.kind == .unknownPartition else { throw error }
                }
            }
            await admin.close()
            try await note(kept, letters)
            try await release(replays)
        } catch {
            await admin.close()
            throw error
        }
        try await count()
        return trouble
    }

    private func lows(of topic: TopicDescription, _ family: TopicFamily, _ admin: Admin) async throws(KafkaFault)
        -> [Low]
    {
        var lows: [Low] = []
        for partition in topic.partitions {
            let place = TopicPartition(topic.name, partition.partition)
            if let low = try await admin.offset(of: place, at: .earliest), low > 0 {
                lows.append(Low(family: family, partition: partition.partition, offset: low))
            }
        }
        return lows
    }

    private func note(_ kept: [(family: TopicFamily, milliseconds: Int64)], _ lows: [Low]) async throws {
        try await index.change { transaction in
            transaction.later(
                """
                INSERT INTO retentions SELECT * FROM unnest(
                    \(kept.map(\.family.source.rawValue))::text[], \(kept.map(\.family.handler.rawValue))::text[],
                    \(kept.map(\.milliseconds))::bigint[])
                ON CONFLICT (topic, handler) DO UPDATE SET milliseconds = excluded.milliseconds
                """)
            transaction.later(
                """
                UPDATE entries e SET state = 'expired', state_at = now()
                FROM \(Self.rows(lows))
                WHERE e.topic = l.topic AND e.handler = l.handler AND e.partition = l.partition AND e.dlq_offset < l.low
                    AND e.state IN ('open', 'replaying')
                """)
        }
    }

    /// What a replay topic has let go of, and nobody has told the end of, nobody has read: it is open again.
    private func release(_ lows: [Low]) async throws {
        guard !lows.isEmpty else { return }
        let count = try await index.release(below: Self.rows(lows))
        if count > 0 {
            log.warning(
                "replayed records were deleted by their topic's retention before their handler came to them: open again",
                [("count", count)])
        }
    }

    private static func rows(_ lows: [Low]) -> SQL {
        """
        unnest(\(lows.map(\.family.source.rawValue))::text[], \(lows.map(\.family.handler.rawValue))::text[],
            \(lows.map(\.partition.rawValue))::int[], \(lows.map(\.offset.rawValue))::bigint[])
            AS l (topic, handler, partition, low)
        """
    }

    /// For the admin port: it is asked by those who may not wait.
    private func count() async throws {
        let gauges = follower.gauges
        let counts = try await index.counts()
        gauges.open.store((counts[.open] ?? 0) + (counts[.replaying] ?? 0), ordering: .relaxed)
        gauges.expiring.store(try await index.expiring().reduce(0) { $0 + $1.count }, ordering: .relaxed)
        let (oldest, standing) = try await index.pool.transaction { transaction -> (Timestamp?, Int) in
            let oldest = try await transaction.query(
                """
                SELECT least((SELECT at FROM entries WHERE state = 'open' ORDER BY at, id LIMIT 1),
                    (SELECT at FROM entries WHERE state = 'replaying' ORDER BY at, id LIMIT 1)) AS at
                """
            ).first?.optional("at", as: Timestamp.self)
            let standing: Int? = try await transaction.query(
                "SELECT count(*) AS n FROM jobs WHERE state IN ('paused', 'stopped')"
            ).first?.value("n")
            return (oldest, standing ?? 0)
        }
        gauges.oldestOpen.store(oldest?.milliseconds ?? 0, ordering: .relaxed)
        gauges.standing.store(standing, ordering: .relaxed)
    }

    private func warn() async throws {
        for expiring in try await index.expiring() {
            log.warning(
                "open dead letters will be deleted by their topic's retention within 72 hours",
                [
                    ("topic", expiring.family.deadLetters), ("count", expiring.count), ("first", expiring.first),
                ])
        }
        let rows = try await index.pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT id, state, reason, greatest(0, total - published - skipped) AS left_over,
                    greatest(0, total - resolved - failed - skipped) AS untold FROM jobs WHERE state IN ('paused', 'stopped')
                    OR state = 'finishing' AND changed_at < now() - interval '1 hour' ORDER BY made_at LIMIT 20
                """)
        }
        for row in rows {
            let (job, state): (String, String) = (try row.value("id"), try row.value("state"))
            let (left, untold): (Int, Int) = (try row.value("left_over"), try row.value("untold"))
            let reason: String = try row.value("reason")
            if state == ReplayJob.State.finishing.rawValue {
                log.warning(
                    "a replay waits for what its handler tells; dlq restore --state replayed gives that up",
                    [("job", job), ("count", untold)])
            } else {
                log.warning(
                    "a replay stands, and what it has chosen waits: dlq jobs resume or cancel",
                    [("job", job), ("state", state), ("reason", reason), ("count", left)])
            }
        }
    }

    /// Not all at once, so that nobody who changes the same counters waits long.
    private func forget() async throws {
        var count = Self.forgottenAtOnce
        while count == Self.forgottenAtOnce, !Task.isCancelled, !follower.service.isEnding {
            count = try await index.forget(atMost: Self.forgottenAtOnce)
        }
        try await index.change { transaction in
            transaction.later("DELETE FROM trend WHERE hour < now() - interval '30 days'")
            transaction.later("DELETE FROM tallies WHERE count = 0")
            transaction.later("DELETE FROM hourly WHERE count = 0")
            transaction.later(
                "DELETE FROM groups g WHERE NOT EXISTS (SELECT FROM tallies t WHERE t.fingerprint = g.fingerprint)")
            transaction.later(
                "DELETE FROM jobs WHERE ended_at < now() - \(DeadLetterIndex.keptAfterEnd)::interval")
        }
    }

    private static let forgottenAtOnce = 10_000
}

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

    /// Ends items whose end nobody will tell, and has what they replayed be open again; how many there were.
    /// `lows`: where replay topics begin, as rows of `l (topic, handler, partition, low)`.
    func release(below lows: SQL) async throws -> Int {
        try await change { transaction in
            let rows = try await transaction.query(
                """
                WITH lost AS (
                    UPDATE items SET outcome = 'skipped: its topic let go of it before the handler came to it',
                        outcome_at = now()
                    FROM (SELECT i.job, i.number FROM items i
                        LEFT JOIN entries e ON e.id = i.entry AND i.record_offset IS NULL
                        JOIN \(lows) ON l.topic = coalesce(i.topic, e.topic) AND l.handler = coalesce(i.handler, e.handler)
                            AND l.partition = coalesce(i.partition, e.src_partition)
                        WHERE i.published_offset < l.low AND i.outcome IS NULL) gone
                    WHERE items.job = gone.job AND items.number = gone.number
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

    /// What is open, or waits in a replay, and is gone within 72 hours.
    package func expiring() async throws -> [ExpiringLetters] {
        try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT r.topic, r.handler, count(*) AS n, min(e.copied_at + r.milliseconds * interval '1 millisecond') AS first
                FROM retentions r JOIN entries e ON e.topic = r.topic AND e.handler = r.handler AND e.state IN ('open', 'replaying')
                    AND e.copied_at < now() + \("\(RetentionWatch.notice.milliseconds) milliseconds")::interval
                        - r.milliseconds * interval '1 millisecond'
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
