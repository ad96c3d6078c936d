internal import Flotilla
internal import Platform
internal import Postgres

/// The sender's side of deliveries: it takes what is due, and writes down how it ended.
struct SenderStore: Sendable {
    let pool: PostgresPool
    let worker: String

    /// A delivery that this worker has to try.
    struct Leased: Sendable {
        let id: String
        let rule: String
        let kind: String
        let recipient: String
        let subject: String
        let body: String
        let madeAt: Timestamp
        /// The `traceparent` of what it follows from.
        let trace: String?
        /// Which try this is: also what its end is known by.
        let attempt: Int
    }

    /// How a try ended.
    struct Attempt: Hashable, Sendable {
        enum Verdict: Hashable, Sendable {
            case sent
            /// Later perhaps; what the server asked for, in milliseconds, 0 for nothing.
            case later(retryAfter: Int64)
            case never
            /// The endpoint says that it is gone.
            case gone
        }

        var verdict: Verdict
        var status: Int?
        var reason: String?
    }

    /// Beyond its timeout a try is given so long to be written down before somebody else takes it for lost.
    static let grace: Duration = .seconds(10)

    /// Makes the rows of channels, and enables those again that have another address now.
    func register(_ channels: [Channel]) async throws {
        guard !channels.isEmpty else { return }
        let all = channels.sorted { $0.name < $1.name }
        try await pool.transaction { transaction in
            // What is as it should be is not touched: a worker that was stopped in the middle may hold on to it.
            try await transaction.execute(
                """
                INSERT INTO endpoints AS old (channel, target, tokens, counted_at)
                SELECT c, t, r, 0 FROM unnest(\(all.map(\.name))::text[], \(all.map(Self.target))::text[],
                    \(all.map { Double($0.rate) })::double precision[]) AS new (c, t, r)
                WHERE NOT EXISTS (SELECT FROM endpoints e WHERE e.channel = c AND e.target = t)
                ON CONFLICT (channel) DO UPDATE
                    SET target = excluded.target, failures = 0, blocked_until = 0, disabled_at = NULL
                    WHERE old.target <> excluded.target
                """)
        }
    }

    /// Channels that have something to be tried now.
    func due(_ channels: [String]) async throws -> Set<String> {
        let rows = try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT channel FROM endpoints e
                WHERE channel = ANY(\(channels)::text[]) AND disabled_at IS NULL
                    AND blocked_until <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
                    AND EXISTS (SELECT FROM deliveries d
                        WHERE d.channel = e.channel AND ended_at IS NULL AND due_at <= clock_timestamp())
                """)
        }
        return Set(try rows.map { try $0.value("channel") })
    }

    /// Takes deliveries of a channel, as many as may be tried now.
    func lease(_ channel: Channel, atMost most: Int) async throws -> [Leased] {
        try await pool.transaction { transaction in
            // Who else is at it has what there is.
            guard let held = try await hold(channel, transaction) else { return [] }
            var endpoint = try Endpoint(held)
            let lease = channel.timeout.milliseconds + Self.grace.milliseconds
            let now: Int64 = try held.value("now")
            let waiting = try await transaction.query(
                """
                SELECT id FROM deliveries
                WHERE channel = \(channel.name) AND ended_at IS NULL AND due_at <= clock_timestamp()
                    AND expires_at > clock_timestamp()
                ORDER BY due_at LIMIT \(most)::int FOR UPDATE SKIP LOCKED
                """)
            let admitted = endpoint.admit(waiting.count, rate: channel.rate, limit: lease, now: now)
            endpoint.save(channel.name, transaction)
            let ids: [String] = try waiting.prefix(admitted).map { try $0.value("id") }
            guard !ids.isEmpty else { return [] }
            return try await transaction.query(
                """
                UPDATE deliveries SET attempts = attempts + 1, worker = \(worker),
                    due_at = clock_timestamp() + \(lease)::bigint * interval '1 millisecond'
                WHERE id = ANY(\(ids)::uuid[])
                RETURNING id, rule, kind, recipient, subject, body, made_at, attempts, trace_parent
                """
            ).map(Leased.init)
        }
    }

    /// An endpoint's row and what time it is, held to the end of the transaction; nil when somebody else holds it.
    private func hold(_ channel: Channel, _ transaction: PostgresTransaction) async throws -> PostgresRow? {
        try await transaction.query(
            """
            SELECT *, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
            FROM endpoints WHERE channel = \(channel.name) FOR UPDATE SKIP LOCKED
            """
        ).first
    }

    /// Where a channel's tries go. What leads to a hook is as good as a password, so it is a digest.
    private static func target(_ channel: Channel) -> String {
        unsafe Digest.sha256(Array(channel.target.utf8).span.bytes).hex(first: 16)
    }

    /// What the end of a try says of its endpoint.
    enum News: Hashable, Sendable {
        case none
        /// To be written down by `note`.
        case toNote
        /// It is gone from here, and others know another address.
        case moved
    }

    /// Writes down how a try ended. Nothing when another one has begun since.
    ///
    /// The endpoint's row is only looked at: whoever holds on to it is not waited for with a connection that others need.
    func end(_ leased: Leased, _ channel: Channel, _ attempt: Attempt, random: Double) async throws -> News {
        try await pool.transaction { transaction in
            let found = try await transaction.query(
                "SELECT target, failures FROM endpoints WHERE channel = \(channel.name)"
            ).first
            // While workers are restarted with another address, what an old one hears is not about the new one.
            let isOwn = try found.map { try $0.value("target") == Self.target(channel) } ?? true
            var (outcome, wait): (String?, Int64) = (nil, 0)
            var news = isOwn ? News.toNote : .none
            switch attempt.verdict {
            case .sent:
                outcome = "sent"
                if try found?.value("failures") == 0 { news = .none }
            case .never:
                outcome = "failed"
                if try found?.value("failures") == 0 { news = .none }
            case .gone:
                if isOwn { outcome = "failed" } else { news = .moved }
            case .later(let retryAfter):
                wait = max(Endpoint.delay(after: leased.attempt, random: random), min(retryAfter, 86_400_000))
            }
            try await transaction.execute(
                """
                UPDATE deliveries SET status = \(attempt.status)::int, reason = \(attempt.reason),
                    due_at = least(expires_at, clock_timestamp() + \(wait)::bigint * interval '1 millisecond'),
                    outcome = \(outcome)::text,
                    ended_at = CASE WHEN \(outcome)::text IS NOT NULL THEN clock_timestamp() END
                WHERE id = \(leased.id)::uuid AND attempts = \(leased.attempt)::int AND ended_at IS NULL
                """)
            return news
        }
    }

    /// Writes down what a try said of its endpoint. False when somebody else holds on to that now.
    func note(_ channel: Channel, _ verdict: Attempt.Verdict) async throws -> Bool {
        try await pool.transaction { transaction in
            guard let held = try await hold(channel, transaction) else { return false }
            guard try held.value("target") == Self.target(channel) else { return true }
            var endpoint = try Endpoint(held)
            switch verdict {
            // Who refuses something has answered, so it is there.
            case .sent, .never: endpoint.succeeded()
            case .later(let retryAfter): endpoint.failed(retryAfter: retryAfter, now: try held.value("now"))
            case .gone:
                transaction.later(
                    "UPDATE endpoints SET disabled_at = now() WHERE channel = \(channel.name) AND disabled_at IS NULL")
            }
            endpoint.save(channel.name, transaction)
            return true
        }
    }

    /// Ends what nobody will try any more: its time is over, or its endpoint is gone. True when there may be more.
    func giveUp() async throws -> Bool {
        try await pool.transaction { transaction in
            let expired = try await transaction.execute(
                """
                UPDATE deliveries SET outcome = 'expired', ended_at = clock_timestamp(),
                    reason = coalesce('given up; the last try said: ' || reason, 'given up before it could be tried')
                WHERE id IN (SELECT id FROM deliveries
                    WHERE ended_at IS NULL AND expires_at <= clock_timestamp() AND due_at <= clock_timestamp()
                    LIMIT 1000 FOR UPDATE SKIP LOCKED)
                """)
            let gone = try await transaction.execute(
                """
                UPDATE deliveries SET outcome = 'failed', ended_at = clock_timestamp(),
                    reason = 'not tried: the endpoint said that it is gone (410); a new address in rules.yaml enables it, and so does flotilla endpoints enable'
                WHERE id IN (SELECT d.id FROM endpoints e JOIN deliveries d USING (channel)
                    WHERE e.disabled_at IS NOT NULL AND d.ended_at IS NULL AND d.due_at <= clock_timestamp()
                    LIMIT 1000 FOR UPDATE OF d SKIP LOCKED)
                """)
            return max(expired, gone) == 1000
        }
    }
}

extension SenderStore.Leased {
    fileprivate init(_ row: PostgresRow) throws {
        self.init(
            id: try row.value("id"), rule: try row.value("rule"), kind: try row.value("kind"),
            recipient: try row.value("recipient"), subject: try row.value("subject"), body: try row.value("body"),
            madeAt: try row.value("made_at"), trace: try row.optional("trace_parent"),
            attempt: try row.value("attempts"))
    }
}

extension Endpoint {
    fileprivate init(_ row: PostgresRow) throws {
        self.init(
            tokens: try row.value("tokens"), countedAt: try row.value("counted_at"),
            failures: try row.value("failures"),
            blockedUntil: try row.value("blocked_until"),
            isDisabled: try row.optional("disabled_at", as: Timestamp.self) != nil)
    }

    /// All but whether it is disabled: that is said by itself.
    fileprivate func save(_ channel: String, _ transaction: PostgresTransaction) {
        transaction.later(
            """
            UPDATE endpoints SET tokens = \(tokens), counted_at = \(countedAt), failures = \(failures),
                blocked_until = \(blockedUntil) WHERE channel = \(channel)
            """)
    }
}
