internal import Contracts
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Synchronization

/// Works off replays, a few records at a time, for as long as it holds the lease.
///
/// A record is noted as sent, with where its target ended before, and only then published; as published it is noted after
/// the log has it. So after a crash those that are sent and not published are known, and the log can tell from there on
/// which of them it has: those are noted, and the others are published, whatever became of their job meanwhile. Only one
/// that was thought dead and wakes up may publish one twice, and whoever handles it knows it by its `dlq-replays`, which
/// are the same. Records go in the order of the job, and the next few after the log has the last.
///
/// A place that cannot be reached stops nothing but the jobs that have something to do with it: what it may have got is
/// looked for when it is there again, before anything else of its job goes.
final class ReplayRunner: Sendable {
    let follower: DeadLetterFollower
    let lease: WorkLease

    var index: DeadLetterIndex { follower.index }
    var service: HandlerService { follower.service }

    /// How long a place that could not be reached is left alone.
    private let pause: Duration

    init(_ follower: DeadLetterFollower, _ lease: WorkLease, pause: Duration = .seconds(30)) {
        self.follower = follower
        self.lease = lease
        self.pause = pause
    }

    /// At most so many at a time.
    static let most = 200

    func run() async throws {
        var configuration = ProducerConfiguration(follower.client)
        configuration.maxRecordBytes = WantedTopic.largestBytes
        configuration.deliveryTimeout = .seconds(30)
        configuration.client.tell(follower.clients, as: "producer")
        let producer = try Producer(configuration)
        let reader: RecordReader
        do { reader = try RecordReader(follower.client) } catch {
            await producer.close()
            throw error
        }
        let result: Result<Void, any Error>
        do {
            try await run(ReplayPress(follower, producer, reader))
            result = .success(())
        } catch { result = .failure(error) }
        await reader.close()
        await producer.close()
        follower.clients.forget("producer")
        try result.get()
    }

    private func run(_ press: ReplayPress) async throws {
        var unsettled = try await unsettled()
        var detours = Detours(pause)
        var dueAt: [String: Int64] = [:]
        while !service.isEnding, !Task.isCancelled {
            try await finish()
            guard !service.isPaused else {
                await service.nap(.milliseconds(500))
                continue
            }
            for id in unsettled.sorted() where detours.isDue(id, now: Time.monotonicMilliseconds) {
                if try await settle(id, press, &detours) { unsettled.remove(id) }
            }
            let jobs = try await active().filter { !unsettled.contains($0.id) }
            var wait: Int64 = jobs.isEmpty ? 500 : 250
            for job in jobs where !service.isEnding {
                let now = Time.monotonicMilliseconds
                guard detours.isDue(job.id, now: now) else { continue }
                let due = max(dueAt[job.id] ?? now, now - 1000)
                guard due <= now else {
                    wait = min(wait, due - now)
                    continue
                }
                switch try await step(job, press, &detours) {
                case .nothing: break
                case .isUnsettled: unsettled.insert(job.id)
                case .went(let count):
                    guard count > 0 else { continue }
                    dueAt[job.id] = due + Int64(count) * 1000 / Int64(max(1, job.rate))
                    wait = 0
                }
            }
            dueAt = dueAt.filter { place in jobs.contains { $0.id == place.key } }
            if wait > 0 { await service.nap(.milliseconds(wait)) }
        }
    }

    /// Ends the jobs of which everything has ended, all at once: those that wait long for that cost the others nothing.
    func finish() async throws {
        try await index.change { transaction in
            try await lease.check(transaction)
            transaction.later(
                """
                UPDATE jobs SET state = 'done', reason = '', changed_at = now(), ended_at = now()
                WHERE state = 'finishing' AND resolved + failed + skipped >= total
                """)
        }
    }

    /// The jobs that have something to publish: not those that wait for what becomes of it.
    func active() async throws -> [ReplayJob] {
        try await index.pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT * FROM jobs WHERE state IN ('waiting', 'running', 'canary') AND NOT (
                    state = 'canary' AND NOT canary_passed AND skipped = 0 AND published >= least(canary, total)
                        AND resolved + failed < least(canary, total))
                ORDER BY made_at, id LIMIT \(Self.mostJobs)
                """
            ).map { try ReplayJob($0) }
        }
    }

    private static let mostJobs = 1000

    // MARK: A step

    private enum Step { case nothing, isUnsettled, went(Int) }

    /// Does what is next for a job; how many records went.
    private func step(_ seen: ReplayJob, _ press: ReplayPress, _ detours: inout Detours) async throws -> Step {
        let chosen = try await choose(seen, press)
        guard let (job, items) = chosen, let first = items.first else { return .nothing }
        var count = 0
        var hasBegun = false
        let isDone = try await go(around: first, job, &detours) {
            hasBegun = true
            count = try await send(items, job, press)
        }
        if isDone { return .went(count) }
        guard !hasBegun else { return .isUnsettled }
        // Nobody was asked.
        try await note(ReplayPress.Outcome(left: items), job)
        return .nothing
    }

    private func send(_ items: [ReplayItem], _ job: ReplayJob, _ press: ReplayPress) async throws -> Int {
        guard let target = items.first?.target(job, follower.namespace) else { return 0 }
        if press.knownEnd(of: target) == nil {
            switch try await press.look(at: target, for: items) {
            case .ends(let end):
                try await index.change { transaction in
                    try await lease.check(transaction)
                    transaction.later(Self.noteEnd(end, job, items))
                }
            case .isMissing(let outcome):
                try await note(outcome, job)
                return outcome.refused.count
            }
        }
        let outcome = try await press.publish(items, job)
        try await note(outcome, job)
        return outcome.published.count + outcome.refused.count
    }

    /// Judges the job, moves it on, and notes as sent what goes next.
    func choose(_ seen: ReplayJob, _ press: ReplayPress) async throws -> (ReplayJob, [ReplayItem])? {
        try await index.change { transaction -> (ReplayJob, [ReplayItem])? in
            try await lease.check(transaction)
            guard let row = try await transaction.query("SELECT * FROM jobs WHERE id = \(seen.id) FOR UPDATE").first
            else { return nil }
            let job = try ReplayJob(row)
            switch job.state {
            case .paused, .stopped, .cancelled, .done, .finishing: return nil
            case .waiting, .running, .canary: break
            }
            if let reason = try await self.verdict(on: job, transaction) {
                transaction.later(DeadLetterIndex.move(job.id, to: .stopped, reason))
                return nil
            }
            var limit = min(Self.most, max(1, job.rate / 2))
            // What was passed over says nothing of the others: more are sent in its place. When all was, nothing is left to judge.
            let needed = Self.canary(of: job)
            if needed > 0, !job.canaryPassed {
                let judged = job.resolved + job.failed
                if judged >= needed {
                    transaction.later(
                        "UPDATE jobs SET canary_passed = true, state = 'running', changed_at = now() WHERE id = \(job.id)"
                    )
                } else {
                    limit = min(limit, needed - judged - (try await index.underWay(job.id, transaction)))
                    if job.state != .canary { transaction.later(DeadLetterIndex.move(job.id, to: .canary)) }
                    guard limit > 0 else { return nil }
                }
            } else if job.state == .waiting {
                transaction.later(DeadLetterIndex.move(job.id, to: .running))
            }
            var items = try await transaction.query(
                """
                SELECT \(ReplayItem.columns) FROM items i \(ReplayItem.join)
                WHERE i.job = \(job.id) AND i.sent_at IS NULL AND i.published_at IS NULL AND i.outcome IS NULL
                    AND \(ReplayItem.isThere)
                ORDER BY i.number LIMIT \(limit)
                """
            ).map { try ReplayItem($0) }
            if items.isEmpty, job.isRewind {
                items = try await index.nextRewound(job, limit: limit, transaction)
            }
            let together = ReplayItem.together(items)
            guard let first = together.first else {
                // Those to the source are nobody's to tell of.
                transaction.later(DeadLetterIndex.move(job.id, to: job.toSource ? .done : .finishing))
                return nil
            }
            transaction.later(
                """
                UPDATE items SET sent_at = now() WHERE job = \(job.id) AND number = ANY(\(together.map(\.number))::bigint[])
                """)
            if let end = press.knownEnd(of: first.target(job, follower.namespace)) {
                transaction.later(Self.noteEnd(end, job, together))
            }
            return (job, together)
        }
    }

    static func noteEnd(_ end: Offset, _ job: ReplayJob, _ items: [ReplayItem]) -> SQL {
        """
        UPDATE items SET sent_from = \(end.rawValue)
        WHERE job = \(job.id) AND number = ANY(\(items.map(\.number))::bigint[]) AND sent_at IS NOT NULL
        """
    }

    /// How many have to be told of before the others go: of those that are not passed over.
    private static func canary(of job: ReplayJob) -> Int { min(job.canary, job.total - job.skipped) }

    /// Why it is not to go on; nil when it may.
    private func verdict(on job: ReplayJob, _ transaction: PostgresTransaction) async throws -> String? {
        guard !job.toSource else { return nil }
        if job.canary > 0, !job.canaryPassed {
            let first = Self.canary(of: job)
            guard first > 0, job.resolved + job.failed >= first, job.failed * 5 > first else { return nil }
            return "of the first \(first), \(job.failed) failed again"
        }
        let rows = try await transaction.query(
            """
            SELECT count(*) FILTER (WHERE outcome LIKE 'dead:%') AS failed, count(*) AS n FROM (
                SELECT outcome FROM items WHERE job = \(job.id) AND outcome_at IS NOT NULL
                    AND outcome NOT LIKE 'skipped:%' AND outcome_at >= \(job.judgedFrom ?? job.madeAt)
                ORDER BY outcome_at DESC, number DESC LIMIT \(ReplayJob.judged)) last
            """)
        let (failed, count): (Int, Int) = (try rows.first?.value("failed") ?? 0, try rows.first?.value("n") ?? 0)
        return ReplayJob.isHopeless(failed: failed, of: count, total: job.total)
            ? "of the last \(count), \(failed) failed again" : nil
    }
}
