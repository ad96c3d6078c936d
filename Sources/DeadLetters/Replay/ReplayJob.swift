internal import Flotilla
package import Platform
internal import Postgres

/// A replay: what was chosen when somebody asked for it, in the order in which it goes back, and how far it is.
package struct ReplayJob: Sendable, Hashable {
    package enum State: String, Sendable, Hashable, CaseIterable {
        /// For a worker to begin.
        case waiting
        /// The first few are on their way; the others wait for what becomes of them.
        case canary
        case running
        /// All are published, and some have not ended.
        case finishing
        /// By somebody, or by itself because too many failed.
        case paused, stopped
        case cancelled, done

        package var isOver: Bool { self == .cancelled || self == .done }
        package var stands: Bool { self == .paused || self == .stopped }
    }

    package let id: String
    package let madeAt: Timestamp
    package let madeBy: String
    package let filter: String
    package let toSource: Bool
    /// Reads records again that were handled, instead of dead letters.
    package let isRewind: Bool
    /// Records a second.
    package let rate: Int
    /// So many go first; 0 is all at once.
    package let canary: Int
    package let canaryPassed: Bool
    package let state: State
    package let reason: String
    package let total: Int
    package let published: Int
    package let resolved: Int
    package let failed: Int
    package let skipped: Int
    /// Of those that are resolved: done before, as whoever was to do it remembers.
    package let repeats: Int
    package let judgedFrom: Timestamp?
    package let changedAt: Timestamp
    package let endedAt: Timestamp?

    init(_ row: PostgresRow) throws(PostgresFault) {
        id = try row.value("id")
        (madeAt, madeBy) = (try row.value("made_at"), try row.value("made_by"))
        filter = try row.value("filter")
        (toSource, rate, canary) = (try row.value("to_source"), try row.value("rate"), try row.value("canary"))
        isRewind = try row.value("is_rewind")
        canaryPassed = try row.value("canary_passed")
        let text: String = try row.value("state")
        guard let state = State(rawValue: text) else { throw PostgresFault.unknown(state: text) }
        self.state = state
        reason = try row.value("reason")
        (total, published) = (try row.value("total"), try row.value("published"))
        (resolved, failed) = (try row.value("resolved"), try row.value("failed"))
        (skipped, repeats) = (try row.value("skipped"), try row.value("repeats"))
        judgedFrom = try row.optional("judged_from")
        changedAt = try row.value("changed_at")
        endedAt = try row.optional("ended_at")
    }

    /// So many of those that ended last are judged.
    static let judged = 50

    /// Whether the rest is not to be tried: more than a fifth of those that ended last failed. Ten are enough to judge
    /// by, and of a small job half of it.
    static func isHopeless(failed: Int, of ended: Int, total: Int) -> Bool {
        ended >= min(10, max(2, total / 2)) && failed * 5 > ended
    }
}

extension PostgresFault {
    fileprivate static func unknown(state: String) -> PostgresFault {
        PostgresFault(.data, "the job is in the state \(state.debugDescription), which this version does not know")
    }
}

/// Why something was not done to dead letters or jobs: nothing has changed.
package struct Refused: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

// What people do with replays.
extension DeadLetterIndex {
    /// What was asked for.
    package struct ReplayOrder: Sendable {
        package var filter: DeadLetterFilter
        /// No more than so many may fit.
        package var confirmed: Int
        /// The oldest of those that fit, and no more than so many.
        package var limit: Int?
        package var toSource = false
        package var rate = 100
        package var canary = 0
        package var who: String

        package init(_ filter: DeadLetterFilter, confirmed: Int, who: String) {
            self.filter = filter
            self.confirmed = confirmed
            self.who = who
        }
    }

    /// Chooses all that fit and are open, in the order of their sources, and has them wait for a worker. Two who choose
    /// the same at once: the second gets what the first left.
    package func replay(_ order: ReplayOrder) async throws -> ReplayJob {
        let id = String(UUIDValue.version7().description.suffix(8))
        return try await change { transaction in
            transaction.later(
                """
                INSERT INTO jobs (id, made_by, filter, to_source, rate, canary, state, total)
                VALUES (\(id), \(order.who), \(order.filter.json), \(order.toSource), \(order.rate), \(order.canary),
                    'waiting', 0)
                """)
            let count = try await transaction.execute(
                """
                WITH chosen AS (\(order.filter.chosen(.open, order.limit))), moved AS (
                    UPDATE entries e SET state = 'replaying', state_at = now(), job = \(id), replays = e.replays + 1
                    FROM chosen c WHERE e.id = c.id
                    RETURNING e.id, e.topic, e.handler, e.src_partition, e.src_offset, e.replays)
                INSERT INTO items (job, number, entry, replays)
                SELECT \(id), row_number() OVER (ORDER BY topic, handler, src_partition, src_offset, id), id, replays
                FROM moved
                """)
            guard count > 0 else { throw Refused("none that is open fits: nothing is replayed") }
            guard count <= order.confirmed else { throw Refused.more(count, than: order.confirmed) }
            transaction.later("UPDATE jobs SET total = \(count) WHERE id = \(id)")
            transaction.later(
                Self.audit(order.who, "replay", order.filter.json, count, job: id, "made a job of \(count)"))
            guard let row = try await transaction.query("SELECT * FROM jobs WHERE id = \(id)").first else {
                throw Refused("the job is gone")
            }
            return try ReplayJob(row)
        }
    }

    package func jobs(limit: Int = 50) async throws -> [ReplayJob] {
        try await pool.transaction { transaction in
            try await transaction.query("SELECT * FROM jobs ORDER BY made_at DESC, id LIMIT \(limit)").map {
                try ReplayJob($0)
            }
        }
    }

    package func job(_ id: String) async throws -> ReplayJob? {
        try await pool.transaction { transaction in
            try await transaction.query("SELECT * FROM jobs WHERE id = \(id)").first.map { try ReplayJob($0) }
        }
    }

    /// Why items of a job failed or were passed over, and how many each.
    package func troubles(of id: String) async throws -> [(outcome: String, count: Int)] {
        try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT outcome, count(*) AS n FROM items WHERE job = \(id) AND outcome NOT IN ('done', 'repeat')
                GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20
                """
            ).map { (try $0.value("outcome"), try $0.value("n")) }
        }
    }

    package enum JobVerb: String, Sendable, CaseIterable { case pause, resume, cancel }

    /// What is under way is finished whatever is said here. What a cancelled job has not begun is open again, as if
    /// nobody had asked.
    package func change(_ id: String, _ verb: JobVerb, who: String) async throws -> ReplayJob {
        try await change { transaction in
            guard let row = try await transaction.query("SELECT * FROM jobs WHERE id = \(id) FOR UPDATE").first else {
                throw Refused("there is no job \(id)")
            }
            let job = try ReplayJob(row)
            guard !job.state.isOver else { throw Refused("job \(id) is over: \(job.state.rawValue)") }
            var count = 0
            switch verb {
            case .pause:
                guard !job.state.stands else { throw Refused("job \(id) stands already: \(job.state.rawValue)") }
                transaction.later(Self.move(id, to: .paused, "by \(who)"))
            case .resume:
                guard job.state.stands else { throw Refused("job \(id) does not stand: \(job.state.rawValue)") }
                // Whoever resumes it has seen what failed.
                transaction.later("UPDATE jobs SET judged_from = now(), canary_passed = true WHERE id = \(id)")
                transaction.later(Self.move(id, to: .running))
            case .cancel:
                count = try await transaction.execute(Self.open(whatIsLeftOf: id))
                transaction.later(Self.forget(whatIsLeftOf: id))
                transaction.later(Self.move(id, to: .cancelled, "by \(who)"))
            }
            transaction.later(
                Self.audit(
                    who, "jobs \(verb.rawValue)", "{}", count, job: id,
                    verb == .cancel ? "\(count) are open again" : verb.rawValue + "d"))
            guard let after = try await transaction.query("SELECT * FROM jobs WHERE id = \(id)").first else {
                return job
            }
            return try ReplayJob(after)
        }
    }

    /// What of a job is not sent is open, as if nobody had asked.
    static func open(whatIsLeftOf id: String) -> SQL {
        """
        UPDATE entries e SET state = 'open', state_at = now(), replays = e.replays - 1, job = NULL FROM items i
        WHERE i.job = \(id) AND i.sent_at IS NULL AND i.outcome IS NULL AND e.id = i.entry AND e.job = i.job
            AND e.replays = i.replays AND e.state = 'replaying'
        """
    }

    static func forget(whatIsLeftOf id: String) -> SQL {
        """
        UPDATE items SET outcome = 'cancelled', outcome_at = now()
        WHERE job = \(id) AND sent_at IS NULL AND outcome IS NULL
        """
    }

    static func move(_ id: String, to state: ReplayJob.State, _ reason: String = "") -> SQL {
        """
        UPDATE jobs SET state = \(state.rawValue), reason = \(reason), changed_at = now(),
            ended_at = CASE WHEN \(state.isOver) THEN now() END WHERE id = \(id)
        """
    }
}
