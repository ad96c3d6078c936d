internal import Contracts
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Synchronization

/// Sees which dead letters their topics have let go of, or are about to, and forgets what ended long ago.
struct RetentionWatch: Sendable {
    let follower: DeadLetterFollower
    /// How often it looks.
    var pace: Duration = .seconds(30)
    /// For so long it is waited for what was told.
    var patience: Duration = .seconds(300)

    private var index: DeadLetterIndex { follower.index }
    private var log: Log { follower.service.log }

    /// How long before its end a dead letter is warned of, where its topic keeps what it has for twice as long or more.
    static let notice: Duration = .seconds(72 * 3600)

    /// What fails here is told and tried again, and keeps nobody from following or replaying, nor anything else from being
    /// looked at.
    func watch() async {
        var warnedAt = Int64.min
        var (told, troubles): ([String: String], [String: String]) = ([:], [:])
        // It waits for the index to have what was told, over more than one look if need be.
        var due: Release?
        func attempt(_ what: String, _ body: () async throws -> Void) async {
            do { try await body() } catch { troubles[what] = ErrorText.line("\(error)", bytes: 512) }
        }
        while isWatching {
            let began = Time.monotonicMilliseconds
            troubles = [:]
            var replays: [Low] = []
            await attempt("topics") {
                let seen = try await look()
                troubles.merge(seen.troubles) { $1 }
                replays = seen.replays
                try await note(seen.kept, seen.letters)
            }
            await attempt("gauges") { try await count() }
            // Where the topic of what is told was made anew, nobody comes to where it ended before.
            if let old = due, began - old.at > patience.milliseconds {
                due = nil
                troubles[follower.namespace.topic(.outcomes).rawValue] =
                    "in \(patience.milliseconds / 1000) s it was not read to where it ended, so what replay topics let go of is looked for anew"
            }
            if due == nil { await attempt("replays") { due = try await self.release(replays) } }
            for (place, trouble) in due?.waiting.unseen ?? [:] {
                troubles["\(place.family.replay) \(place.partition)"] = trouble
            }
            if warnedAt == .min || began - warnedAt >= 3_600_000 {
                await attempt("warnings") {
                    try await warn()
                    warnedAt = began
                    try await forget()
                }
            }
            func left() -> Int64 { began + pace.milliseconds - Time.monotonicMilliseconds }
            // What took long to be seen is carried out however long it took.
            repeat {
                guard let release = due else { break }
                if follower.hasReadOutcomes(to: release.ends) {
                    await attempt("replays") { try await carryOut(release) }
                    due = nil
                } else {
                    await follower.service.nap(.milliseconds(200))
                }
            } while isWatching && left() > 0
            guard isWatching else { return }
            for (what, text) in troubles.sorted(by: { $0.key < $1.key }) where told[what] != text {
                log.warning(
                    "cannot see what topics have let go of; looking again", [("topic", what), ("error", text)])
            }
            told = troubles
            await follower.service.nap(.milliseconds(max(500, left())))
        }
    }

    private var isWatching: Bool { !follower.service.isEnding && !Task.isCancelled }

    /// Where a family's topic begins now.
    struct Low: Sendable, Hashable {
        let family: TopicFamily
        let partition: Partition
        let offset: Offset
    }

    /// What replay topics have let go of: nobody reads it any more. Whether it was handled before is known once everything
    /// is that was told by then.
    struct Release: Sendable {
        let lows: [Low]
        /// What of it waits for its next try.
        let waiting: WaitingCopies
        /// Where the topic of what is told ended after that.
        let ends: [TopicPartition: Offset]
        let at = Time.monotonicMilliseconds
    }

    struct Look: Sendable {
        var letters: [Low] = []
        var kept: [(family: TopicFamily, milliseconds: Int64)] = []
        var replays: [Low] = []
        /// What could not be seen, by the topic.
        var troubles: [String: String] = [:]
    }

    /// How long each topic keeps what it has, and which dead letters and replays are gone. A topic that cannot be looked at
    /// is no reason not to look at the others.
    func look() async throws -> Look {
        try await Admin.use(follower.client) { try await look($0) }
    }

    private func look(_ admin: Admin) async throws -> Look {
        var look = Look()
        func attempt(_ topic: TopicName, _ body: () async throws -> Void) async throws {
            do { try await body() } catch let fault as KafkaFault {
                guard fault.kind != .closed, fault.kind != .cancelled else { throw fault }
                // It may go between two questions.
                guard fault.kind != .unknownTopic else { return }
                look.troubles[topic.rawValue] = ErrorText.line("\(fault)", bytes: 512)
            }
        }
        let topics = try await admin.topics(nil)
        for topic in topics.values {
            guard let family = DeadLetter.family(of: topic.name, follower.namespace) else { continue }
            try await attempt(topic.name) {
                let text = try await admin.settings(of: topic.name)["retention.ms"]?.value
                look.kept.append((family, text.flatMap { Int64($0) } ?? -1))
            }
            try await attempt(topic.name) { look.letters += try await lows(of: topic, family, admin) }
            if let replay = topics[follower.namespace.topic(family.replay)] {
                try await attempt(replay.name) { look.replays += try await lows(of: replay, family, admin) }
            }
        }
        return look
    }

    private func lows(of topic: TopicDescription, _ family: TopicFamily, _ admin: Admin) async throws(KafkaFault)
        -> [Low]
    {
        try await admin.bounds(of: topic).filter { $0.value.low > 0 }.map { place, marks in
            Low(family: family, partition: place.partition, offset: marks.low)
        }
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

    /// What replay topics have let go of, and nobody has told the end of; nil when there is none.
    func release(_ lows: [Low]) async throws -> Release? {
        let places = try await index.lost(below: lows)
        guard !places.isEmpty else { return nil }
        let waiting = try await WaitingCopies.look(at: places, follower.client, follower.namespace)
        // An end is told before a copy is left behind, so what is told is asked for later.
        return Release(
            lows: lows, waiting: waiting,
            ends: try await WaitingCopies.endsOfWhatIsTold(follower.client, follower.namespace))
    }

    /// Nobody will handle it, unless it waits in a retry topic: it is open again. To be called when the index has what was
    /// told.
    func carryOut(_ release: Release) async throws {
        let count = try await index.release(below: release.lows, but: release.waiting)
        if count > 0 {
            log.warning(
                "replayed records were deleted by their topic's retention, and nobody told what became of them: open again",
                [("count", count)])
        }
    }

    /// As rows of `l (topic, handler, partition, low)`.
    static func rows(_ lows: [Low]) -> SQL {
        """
        unnest(\(lows.map(\.family.source.rawValue))::text[], \(lows.map(\.family.handler.rawValue))::text[],
            \(lows.map(\.partition.rawValue))::int[], \(lows.map(\.offset.rawValue))::bigint[])
            AS l (topic, handler, partition, low)
        """
    }

    /// For the admin port: it is asked by those who may not wait.
    func count() async throws {
        let counts = try await index.counts()
        var look = FollowerGauges.Look(open: (counts[.open] ?? 0) + (counts[.replaying] ?? 0))
        look.expiring = try await index.expiring().reduce(0) { $0 + $1.count }
        (look.oldestOpen, look.standing) = try await index.pool.transaction { transaction in
            let oldest = try await transaction.query(
                """
                SELECT least((SELECT at FROM entries WHERE state = 'open' ORDER BY at, id LIMIT 1),
                    (SELECT at FROM entries WHERE state = 'replaying' ORDER BY at, id LIMIT 1)) AS at
                """
            ).first?.optional("at", as: Timestamp.self)
            let standing: Int? = try await transaction.query(
                "SELECT count(*) AS n FROM jobs WHERE state IN ('paused', 'stopped')"
            ).first?.value("n")
            return (oldest?.milliseconds, standing ?? 0)
        }
        follower.gauges.look.withLock { [look] in $0 = look }
    }

    private func warn() async throws {
        for expiring in try await index.expiring() {
            log.warning(
                "open dead letters will soon be deleted by their topic's retention: dlq replay or export",
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
                    "a replay waits for what its handler tells: start the handler, or look why it stands; when it is past them, dlq restore --state replayed gives up those of which nothing is told",
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
