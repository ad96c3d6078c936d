internal import Flotilla
internal import Model
internal import Postgres
internal import Synchronization

extension ReplayRunner {
    /// Notes what became of what was sent. One that has lost its lease meanwhile notes nothing: its successor looks into
    /// the log, and what seems to be left here may be on its way there.
    func note(_ outcome: ReplayPress.Outcome, _ job: ReplayJob) async throws {
        try await index.change { transaction in
            try await lease.check(transaction)
            try await note(published: outcome, job, transaction)
            for (item, reason) in outcome.gone { pass(over: item, reason, job, state: .expired, transaction) }
            for (item, reason) in outcome.refused { pass(over: item, reason, job, state: .open, transaction) }
            if !outcome.left.isEmpty { try await put(back: outcome.left, job, transaction) }
            if let fault = outcome.fault, !job.state.isOver {
                transaction.later(
                    """
                    UPDATE jobs SET state = 'stopped', reason = \(fault), changed_at = now()
                    WHERE id = \(job.id) AND state NOT IN ('cancelled', 'done')
                    """)
            }
        }
        follower.gauges.published.add(outcome.published.count, ordering: .relaxed)
    }

    private func note(
        published outcome: ReplayPress.Outcome, _ job: ReplayJob, _ transaction: PostgresTransaction
    ) async throws {
        let numbers = outcome.published.map(\.number)
        guard !numbers.isEmpty else { return }
        let offsets = numbers.map { outcome.offsets[$0]?.rawValue ?? -1 }
        transaction.later(
            """
            UPDATE entries e SET state = 'replayed', state_at = now() FROM items i
            WHERE i.job = \(job.id) AND i.number = ANY(\(numbers)::bigint[]) AND e.id = i.entry
                AND e.job = i.job AND e.replays = i.replays AND e.state IN ('replaying', 'expired')
            """)
        let count = try await transaction.execute(
            """
            UPDATE items SET published_at = now() WHERE job = \(job.id) AND published_at IS NULL
                AND number = ANY(\(numbers)::bigint[])
            """)
        transaction.later("UPDATE jobs SET published = published + \(count) WHERE id = \(job.id)")
        // Where it lies in the source nobody tells of its end: only who gives it up asks for that.
        let column: SQL = job.toSource ? "source_offset" : "published_offset"
        transaction.later(
            """
            UPDATE items i SET \(column) = o.at FROM unnest(\(numbers)::bigint[], \(offsets)::bigint[]) AS o (number, at)
            WHERE i.job = \(job.id) AND i.number = o.number AND o.at >= 0
            """)
    }

    /// It ends without having been published.
    private func pass(
        over item: ReplayItem, _ reason: String, _ job: ReplayJob, state: DeadLetterState,
        _ transaction: PostgresTransaction
    ) {
        transaction.later(
            """
            WITH passed AS (UPDATE items SET outcome = \("skipped: " + reason), outcome_at = now()
                WHERE job = \(job.id) AND number = \(item.number) AND outcome IS NULL RETURNING job)
            UPDATE jobs SET skipped = skipped + 1 WHERE id IN (SELECT job FROM passed)
            """)
        transaction.later(
            """
            UPDATE entries SET state = \(state.rawValue), state_at = now(), replays = \(item.round) - 1, job = NULL
            WHERE id = \(item.letter.id) AND job = \(job.id) AND replays = \(item.round) AND state = 'replaying'
            """)
    }

    /// They are to be chosen again.
    private func put(
        back items: [ReplayItem], _ job: ReplayJob, _ transaction: PostgresTransaction
    ) async throws {
        transaction.later(
            """
            UPDATE items SET sent_at = NULL, sent_from = NULL
            WHERE job = \(job.id) AND published_at IS NULL AND outcome IS NULL
                AND number = ANY(\(items.map(\.number))::bigint[])
            """)
        // Cancelled while they were under way.
        let row = try await transaction.query("SELECT state FROM jobs WHERE id = \(job.id) FOR UPDATE").first
        if try row?.value("state", as: String.self) == ReplayJob.State.cancelled.rawValue {
            transaction.later(DeadLetterIndex.open(whatIsLeftOf: job.id))
            transaction.later(DeadLetterIndex.forget(whatIsLeftOf: job.id))
        }
    }
}
