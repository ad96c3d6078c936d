internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres

// After a crash, or when a place could not be reached: what was sent, and nobody has noted whether it got there.
extension ReplayRunner {
    /// The jobs that have something of which nobody knows whether it got there. What was told of did.
    func unsettled() async throws -> Set<String> {
        try await index.change { transaction in
            try await lease.check(transaction)
            transaction.later(
                """
                WITH told AS (UPDATE items SET published_at = outcome_at
                    WHERE sent_at IS NOT NULL AND published_at IS NULL AND outcome IS NOT NULL
                        AND outcome NOT LIKE 'skipped:%' RETURNING job)
                UPDATE jobs j SET published = published + n FROM (SELECT job, count(*) AS n FROM told GROUP BY job) t
                WHERE j.id = t.job
                """)
            let rows = try await transaction.query(
                """
                SELECT DISTINCT i.job FROM items i \(ReplayItem.join)
                WHERE i.sent_at IS NOT NULL AND i.published_at IS NULL AND i.outcome IS NULL AND \(ReplayItem.isThere)
                """)
            return try Set(rows.map { try $0.value("job", as: String.self) })
        }
    }

    /// Notes what is published of what the job has sent, and publishes the rest, before anything else of it goes. False
    /// when one of its places cannot be reached.
    func settle(_ id: String, _ press: ReplayPress, _ detours: inout Detours) async throws -> Bool {
        while !service.isEnding, !Task.isCancelled {
            let found = try await index.pool.transaction { transaction -> (ReplayJob, [ReplayItem])? in
                try await lease.check(transaction)
                guard let row = try await transaction.query("SELECT * FROM jobs WHERE id = \(id)").first else {
                    return nil
                }
                let items = try await transaction.query(
                    """
                    SELECT \(ReplayItem.columns) FROM items i \(ReplayItem.join)
                    WHERE i.job = \(id) AND i.sent_at IS NOT NULL AND i.published_at IS NULL AND i.outcome IS NULL
                        AND \(ReplayItem.isThere)
                    ORDER BY i.number LIMIT \(Self.most)
                    """
                ).map { try ReplayItem($0) }
                return (try ReplayJob(row), ReplayItem.together(items))
            }
            guard let (job, items) = found, let first = items.first else { return true }
            guard try await go(around: first, job, &detours, { try await settle(items, job, press) }) else {
                return false
            }
        }
        return false
    }

    private func settle(_ items: [ReplayItem], _ job: ReplayJob, _ press: ReplayPress) async throws {
        let there = try await press.published(items, job)
        if !there.published.isEmpty { try await note(there, job) }
        let numbers = Set(there.published.map(\.number))
        let rest = items.filter { !numbers.contains($0.number) }
        guard let first = rest.first else { return }
        // Cancelled while its place could not be reached: what never came there is open again.
        if job.state == .cancelled { return try await note(ReplayPress.Outcome(left: rest), job) }
        if rest.contains(where: { $0.sentFrom == nil }) {
            switch try await press.look(at: first.target(job, follower.namespace), for: rest) {
            case .ends(let end):
                try await index.change { transaction in
                    try await lease.check(transaction)
                    transaction.later(Self.noteEnd(end, job, rest.filter { $0.sentFrom == nil }))
                }
            case .isMissing(let outcome): return try await note(outcome, job)
            }
        }
        try await note(try await press.publish(rest, job), job)
    }
}
