package import Model
package import Platform
internal import Postgres

// What people do with dead letters. Each change is one transaction with its line in the audit.
extension DeadLetterIndex {
    static func audit(
        _ who: String, _ verb: String, _ filter: String, _ count: Int, job: String? = nil, _ result: String
    ) -> SQL {
        """
        INSERT INTO audit (who, verb, filter, count, job, result)
        VALUES (\(who), \(verb), \(filter), \(count), \(job), \(result))
        """
    }

    /// Puts what is open aside. It stays in its topic, and can be restored for as long as that keeps it. With a limit the
    /// oldest are meant.
    package func discard(
        _ filter: DeadLetterFilter, limit: Int? = nil, confirmed: Int, who: String
    ) async throws -> Int {
        try await change { transaction in
            try await move(filter, limit, from: .open, to: .discarded, "discard", confirmed, who, transaction)
        }
    }

    /// Has what was discarded be open again.
    package func restore(
        _ filter: DeadLetterFilter, limit: Int? = nil, confirmed: Int, who: String
    ) async throws -> Int {
        try await change { transaction in
            try await move(filter, limit, from: .discarded, to: .open, "restore", confirmed, who, transaction)
        }
    }

    private func move(
        _ filter: DeadLetterFilter, _ limit: Int?, from: DeadLetterState, to: DeadLetterState, _ verb: String,
        _ confirmed: Int, _ who: String, _ transaction: PostgresTransaction
    ) async throws -> Int {
        let rows = try await transaction.query(
            """
            WITH moved AS (
                UPDATE entries e SET state = \(to.rawValue), state_at = now()
                FROM (\(filter.chosen(from, limit))) chosen WHERE e.id = chosen.id RETURNING e.id)
            SELECT count(*) AS n FROM moved
            """)
        let count: Int = try rows.first?.value("n") ?? 0
        guard count > 0 else { throw Refused("none that is \(from.rawValue) fits: nothing has changed") }
        guard count <= confirmed else { throw Refused.more(count, than: confirmed) }
        transaction.later(Self.audit(who, verb, filter.json, count, "\(count) \(to.rawValue)"))
        return count
    }

    /// Writes a note to one of them, over the one before; an empty one removes it.
    package func note(_ id: UUIDValue, _ text: String, who: String) async throws {
        try await change { transaction in
            let count = try await transaction.execute("UPDATE entries SET note = \(text) WHERE id = \(id)")
            guard count == 1 else { throw Refused("there is no dead letter \(id)") }
            var filter = DeadLetterFilter()
            filter.ids = [id]
            transaction.later(Self.audit(who, "note", filter.json, 1, text.isEmpty ? "removed" : text))
        }
    }

    /// Notes that somebody looked at what is hidden.
    package func noteUnmasked(_ filter: DeadLetterFilter, _ verb: String, count: Int, who: String) async throws {
        try await change { transaction in
            transaction.later(Self.audit(who, verb, filter.json, count, "with personal fields"))
        }
    }

    /// Notes what somebody did that is not kept here.
    package func note(
        _ verb: String, handler: HandlerName, topic: TopicName? = nil, count: Int, _ result: String, who: String
    ) async throws {
        var filter = DeadLetterFilter()
        (filter.handler, filter.topic) = (handler.rawValue, topic?.rawValue)
        let asked = filter.json
        try await change { $0.later(Self.audit(who, verb, asked, count, result)) }
    }

    /// One line of the audit.
    package struct AuditLine: Sendable, Hashable {
        package let at: Timestamp
        package let who: String
        package let verb: String
        package let filter: String
        package let count: Int
        package let job: String?
        package let result: String
    }

    /// The latest first.
    package func audit(limit: Int) async throws -> [AuditLine] {
        try await pool.transaction { transaction in
            try await transaction.query("SELECT * FROM audit ORDER BY id DESC LIMIT \(limit)").map { row in
                AuditLine(
                    at: try row.value("at"), who: try row.value("who"), verb: try row.value("verb"),
                    filter: try row.value("filter"), count: try row.value("count"), job: try row.optional("job"),
                    result: try row.value("result"))
            }
        }
    }

    /// The families that have something that fits.
    package func families(_ filter: DeadLetterFilter) async throws -> [(topic: String, handler: String)] {
        let statement: SQL =
            filter.isOfGroups
            ? "SELECT DISTINCT topic, handler FROM tallies WHERE \(filter.groupCondition) AND count > 0 ORDER BY 1, 2"
            : "SELECT DISTINCT topic, handler FROM entries WHERE \(filter.condition) ORDER BY 1, 2"
        return try await pool.transaction { transaction in
            try await transaction.query(statement).map { (try $0.value("topic"), try $0.value("handler")) }
        }
    }
}

extension Refused {
    static func more(_ count: Int, than confirmed: Int) -> Refused {
        Refused(
            "\(count) fit, and \(confirmed) are confirmed: nothing has changed. Look again, and say --confirm \(count)")
    }
}
