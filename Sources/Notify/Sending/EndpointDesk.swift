package import Platform
package import Postgres

/// What an operator sees of endpoints, and does to them.
package struct EndpointDesk: Sendable {
    private let pool: PostgresPool

    /// `pool`: in the schema of notify.
    package init(_ pool: PostgresPool) { self.pool = pool }

    package struct Line: Hashable, Sendable {
        package let channel: String
        /// `ok`, `failing`, `disabled`.
        package let state: String
        /// Since when it is disabled.
        package let disabledAt: Timestamp?
        /// Failures in a row.
        package let failures: Int
        /// Deliveries that have not ended.
        package let waiting: Int
    }

    /// All that workers have worked for.
    package func list() async throws -> [Line] {
        try await pool.transaction { transaction in
            try await transaction.query(
                """
                SELECT channel, failures, disabled_at,
                    (SELECT count(*) FROM deliveries d WHERE d.channel = e.channel AND ended_at IS NULL) AS waiting
                FROM endpoints e ORDER BY channel
                """
            ).map { row in
                let disabledAt = try row.optional("disabled_at", as: Timestamp.self)
                let failures: Int = try row.value("failures")
                return Line(
                    channel: try row.value("channel"),
                    state: disabledAt != nil ? "disabled" : failures > 0 ? "failing" : "ok", disabledAt: disabledAt,
                    failures: failures, waiting: try row.value("waiting"))
            }
        }
    }

    /// Has an endpoint be asked again from now on, whatever it said before. False when there is none of that name.
    package func enable(_ channel: String) async throws -> Bool {
        try await pool.transaction { transaction in
            try await transaction.execute(
                """
                UPDATE endpoints SET disabled_at = NULL, failures = 0, blocked_until = 0 WHERE channel = \(channel)
                """) == 1
        }
    }
}
