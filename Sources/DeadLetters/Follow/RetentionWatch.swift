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
    /// What ended is kept in the index for so long.
    private static let keptAfterEnd = "90 days"

    func watch() async throws {
        var warnedAt = Int64.min
        while !follower.service.isEnding, !Task.isCancelled {
            try await look()
            let now = Time.monotonicMilliseconds
            if warnedAt == .min || now - warnedAt >= 3_600_000 {
                warnedAt = now
                try await warn()
                try await forget()
            }
            await follower.service.nap(.seconds(30))
        }
    }

    /// Notes how long each topic keeps what it has, and which dead letters are gone.
    private func look() async throws {
        let admin = try Admin(follower.client, patience: .seconds(10))
        do {
            var lows: [(family: TopicFamily, partition: Partition, low: Offset)] = []
            var kept: [(family: TopicFamily, milliseconds: Int64)] = []
            for topic in try await admin.topics(nil).values {
                guard let family = DeadLetter.family(of: topic.name, follower.namespace) else { continue }
                let text = try await admin.settings(of: topic.name)["retention.ms"]?.value
                kept.append((family, text.flatMap { Int64($0) } ?? -1))
                for partition in topic.partitions {
                    let place = TopicPartition(topic.name, partition.partition)
                    if let low = try await admin.offset(of: place, at: .earliest), low > 0 {
                        lows.append((family, partition.partition, low))
                    }
                }
            }
            await admin.close()
            try await note(kept, lows)
        } catch {
            await admin.close()
            throw error
        }
        try await count()
    }

    private func note(
        _ kept: [(family: TopicFamily, milliseconds: Int64)],
        _ lows: [(family: TopicFamily, partition: Partition, low: Offset)]
    ) async throws {
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
                FROM unnest(\(lows.map(\.family.source.rawValue))::text[],
                    \(lows.map(\.family.handler.rawValue))::text[],
                    \(lows.map(\.partition.rawValue))::int[], \(lows.map(\.low.rawValue))::bigint[])
                    AS l (topic, handler, partition, low)
                WHERE e.topic = l.topic AND e.handler = l.handler AND e.partition = l.partition AND e.dlq_offset < l.low
                    AND e.state = 'open'
                """)
        }
    }

    /// For the admin port: it is asked by those who may not wait.
    private func count() async throws {
        let gauges = follower.gauges
        gauges.open.store(try await index.counts()[.open] ?? 0, ordering: .relaxed)
        gauges.expiring.store(try await index.expiring().reduce(0) { $0 + $1.count }, ordering: .relaxed)
        let oldest = try await index.pool.transaction { transaction -> Timestamp? in
            try await transaction.query("SELECT at FROM entries WHERE state = 'open' ORDER BY at, id LIMIT 1").first?
                .value("at")
        }
        gauges.oldestOpen.store(oldest?.milliseconds ?? 0, ordering: .relaxed)
    }

    private func warn() async throws {
        for expiring in try await index.expiring() {
            log.warning(
                "open dead letters will be deleted by their topic's retention within 72 hours",
                [
                    ("topic", expiring.family.deadLetters), ("count", expiring.count), ("first", expiring.first),
                ])
        }
    }

    private func forget() async throws {
        try await index.change { transaction in
            transaction.later(
                """
                DELETE FROM entries WHERE id IN (SELECT id FROM entries
                    WHERE state IN ('resolved', 'discarded', 'expired')
                        AND state_at < now() - \(Self.keptAfterEnd)::interval LIMIT 10000)
                """)
            transaction.later("DELETE FROM trend WHERE hour < now() - interval '30 days'")
            transaction.later("DELETE FROM tallies WHERE count = 0")
            transaction.later("DELETE FROM hourly WHERE count = 0")
            transaction.later(
                "DELETE FROM groups g WHERE NOT EXISTS (SELECT FROM tallies t WHERE t.fingerprint = g.fingerprint)")
            transaction.later(
                "DELETE FROM jobs WHERE ended_at < now() - \(Self.keptAfterEnd)::interval")
        }
    }
}

/// Open dead letters of a family that are about to be deleted.
package struct ExpiringLetters: Sendable {
    package let family: TopicFamily
    package let count: Int
    /// When the first of them goes.
    package let first: Timestamp
}

extension DeadLetterIndex {
    /// What is open, and gone within 72 hours.
    package func expiring() async throws -> [ExpiringLetters] {
        try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT r.topic, r.handler, count(*) AS n, min(e.copied_at + r.milliseconds * interval '1 millisecond') AS first
                FROM retentions r JOIN entries e ON e.topic = r.topic AND e.handler = r.handler AND e.state = 'open'
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
