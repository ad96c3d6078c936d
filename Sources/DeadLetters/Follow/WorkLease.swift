internal import Platform
internal import Postgres

/// Which of several processes follows the dead letters and replays them: the one that has this, until it has not said for
/// ten seconds that it still does.
///
/// By the database's clock, so that no other matters. Each new holder counts one further, and what must not be done by one
/// that was taken for dead checks that number in its own transaction.
package struct WorkLease: Sendable {
    let index: DeadLetterIndex
    package let holder: String
    package let generation: Int64

    private static let name = "worker"
    /// How often the holder says so.
    static let beat: Duration = .seconds(2)

    /// Nil while somebody else has it.
    package static func take(_ index: DeadLetterIndex, for holder: String) async throws -> WorkLease? {
        let row = try await index.pool.transaction { transaction in
            try await transaction.query(
                """
                INSERT INTO leases VALUES (\(name), \(holder), 1, now() + interval '10 seconds')
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, generation = leases.generation + 1,
                    until = excluded.until
                WHERE leases.until < now() OR leases.holder = excluded.holder RETURNING generation
                """
            ).first
        }
        return try row.map { WorkLease(index: index, holder: holder, generation: try $0.value("generation")) }
    }

    /// Says that it is held on. Throws `Overtaken` when it is somebody else's.
    func renew() async throws {
        let count = try await index.pool.transaction { transaction in
            try await transaction.execute(
                """
                UPDATE leases SET until = now() + interval '10 seconds'
                WHERE name = \(Self.name) AND holder = \(holder) AND generation = \(generation)
                """)
        }
        guard count == 1 else { throw Overtaken() }
    }

    /// Has somebody else begin at once.
    func release() async {
        // When this fails it runs out by itself.
        _ = try? await index.pool.transaction { transaction in
            try await transaction.execute(
                """
                UPDATE leases SET until = now() - interval '1 second'
                WHERE name = \(Self.name) AND holder = \(holder) AND generation = \(generation)
                """)
        }
    }

    /// Throws `Overtaken` in a transaction of one that has it no more; until the end of it nobody else gets it.
    func check(_ transaction: PostgresTransaction) async throws {
        let rows = try await transaction.query(
            """
            SELECT 1 AS one FROM leases WHERE name = \(Self.name) AND holder = \(holder) AND generation = \(generation)
            FOR SHARE
            """)
        guard !rows.isEmpty else { throw Overtaken() }
    }

    /// Whether a process works at the moment.
    package static func isHeld(_ index: DeadLetterIndex) async throws -> Bool {
        try await index.pool.transaction { transaction in
            try await !transaction.query("SELECT 1 AS one FROM leases WHERE name = \(name) AND until > now()").isEmpty
        }
    }
}
