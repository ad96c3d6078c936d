internal import Flotilla
internal import Kafka
internal import Model
internal import Postgres

// After a crash: what was sent, and nobody has noted whether it got there.
extension ReplayRunner {
    /// Notes what is published of what was sent, and publishes the rest.
    func recover(_ press: ReplayPress) async throws {
        while !service.isEnding {
            let found = try await index.pool.transaction { transaction -> (ReplayJob, [ReplayItem])? in
                try await lease.check(transaction)
                // What was told of did get there.
                transaction.later(
                    """
                    WITH told AS (UPDATE items SET published_at = outcome_at
                        WHERE sent_at IS NOT NULL AND published_at IS NULL AND outcome IS NOT NULL
                            AND outcome NOT LIKE 'skipped:%' RETURNING job)
                    UPDATE jobs j SET published = published + n FROM (SELECT job, count(*) AS n FROM told GROUP BY job) t
                    WHERE j.id = t.job
                    """)
                let items = try await transaction.query(
                    """
                    SELECT \(ReplayItem.columns) FROM items i \(ReplayItem.join)
                    WHERE i.sent_at IS NOT NULL AND i.published_at IS NULL AND i.outcome IS NULL AND \(ReplayItem.isThere)
                    ORDER BY i.job, i.number LIMIT \(Self.most)
                    """)
                guard let first = items.first else { return nil }
                let id: String = try first.value("item_job")
                guard let row = try await transaction.query("SELECT * FROM jobs WHERE id = \(id)").first else {
                    return nil
                }
                let all = try items.filter { try $0.value("item_job") == id }.map { try ReplayItem($0) }
                return (try ReplayJob(row), ReplayItem.together(all))
            }
            guard let (job, items) = found else { return }
            let there = try await press.published(items, job)
            if !there.published.isEmpty { try await note(there, job) }
            let numbers = Set(there.published.map(\.number))
            let rest = items.filter { !numbers.contains($0.number) }
            guard let first = rest.first else { continue }
            if rest.contains(where: { $0.sentFrom == nil }) {
                let target = first.target(job, follower.namespace)
                let end: Offset
                switch try await press.look(at: target, for: rest) {
                case .ends(let found): end = found
                case .isMissing(let outcome):
                    try await note(outcome, job)
                    continue
                }
                try await index.change { transaction in
                    try await lease.check(transaction)
                    transaction.later(Self.noteEnd(end, job, rest.filter { $0.sentFrom == nil }))
                }
            }
            let outcome = try await press.publish(rest, job)
            try await note(outcome, job)
            if outcome.isEmpty { return }
        }
    }
}
