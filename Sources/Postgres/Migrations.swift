internal import Platform

/// A step from one form of the tables to the next. What has been run is never changed: a new step is added instead.
public struct Migration: Sendable, Hashable {
    /// What it is known by, once and for all.
    public let name: String
    /// Statements, separated by semicolons. They run in one transaction with the schema as search path.
    public let script: String

    public init(_ name: String, _ script: String) {
        self.name = name
        self.script = script
    }
}

extension PostgresPool {
    /// Makes the configuration's schema and brings its tables up to date. Each step runs once, whoever starts first;
    /// `group` keeps apart what different owners have in one schema.
    package func migrate(_ migrations: [Migration], group: String) async throws {
        guard let schema = configuration.schema else { preconditionFailure("migrations need a schema") }
        try await transaction { transaction in
            // What changes large tables takes longer than any statement of a handler, and the others wait for it.
            let patience = "\(configuration.migrationTimeout.milliseconds)"
            transaction.later("SELECT set_config('statement_timeout', \(patience), true)")
            transaction.later("SELECT set_config('idle_in_transaction_session_timeout', \(patience), true)")
            let lockTimeout = "\(configuration.lockTimeout.milliseconds)"
            transaction.later("SELECT set_config('lock_timeout', \(patience), true)")
            transaction.later("SELECT pg_advisory_xact_lock(hashtextextended(\("flotilla migrations \(schema)"), 0))")
            transaction.later("SELECT set_config('lock_timeout', \(lockTimeout), true)")
            let known = try await transaction.query(
                """
                SELECT current_user AS role, has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') AS may
                FROM pg_namespace WHERE nspname = \(schema)
                """
            ).first
            if let known {
                // Postgres would look for another schema in silence, and say that there is none.
                guard try known.value("may") else {
                    throw PostgresFault(
                        .refused,
                        "permission denied for schema \(schema): the role \(try known.value("role", as: String.self)) may not "
                            + "use it. Is it another handler's? Else, as its owner: GRANT USAGE, CREATE ON SCHEMA \"\(schema)\""
                    )
                }
            } else {
                transaction.later("CREATE SCHEMA \(identifier: schema)")
            }
            transaction.later(
                """
                CREATE TABLE IF NOT EXISTS flotilla_migrations (
                    part text NOT NULL, name text NOT NULL, digest text NOT NULL, run_at timestamptz NOT NULL DEFAULT now(),
                    PRIMARY KEY (part, name))
                """)
            let rows = try await transaction.query(
                "SELECT name, digest FROM flotilla_migrations WHERE part = \(group)")
            var digests: [String: String] = [:]
            for row in rows { digests[try row.value("name")] = try row.value("digest", as: String.self) }
            for migration in migrations {
                let now = unsafe Digest.sha256(migration.script.utf8.span.bytes).hex()
                if let before = digests[migration.name] {
                    guard before == now else {
                        throw PostgresFault(
                            .statement,
                            "the migration \(migration.name) of \(schema) was run in another form: what has been run is "
                                + "not changed, add a new one")
                    }
                    continue
                }
                try await transaction.run(script: migration.script)
                transaction.later(
                    "INSERT INTO flotilla_migrations (part, name, digest) VALUES (\(group), \(migration.name), \(now))")
            }
        }
    }
}
