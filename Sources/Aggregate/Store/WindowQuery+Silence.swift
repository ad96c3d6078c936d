package import Platform
package import Postgres

extension WindowQuery {
    /// Why there is no window to show: what somebody meant can then be seen from what there is.
    package enum Silence: Sendable, Hashable {
        /// Nothing was counted at all, so far.
        case nothing
        /// No such metric; these there are, by name.
        case metric(known: [String])
        /// The campaign has none of the metric.
        case campaign
        /// No window of it has the dimension.
        case dimension
        /// There are windows of days, and none as short as asked for: those go first.
        case step
        /// There are windows, from the first to the last that begins, but none in the time that was asked for.
        case time(first: Timestamp, last: Timestamp)
    }

    /// To be asked when there were no rows. Looks at days, which are kept the longest, and steps over the windows of a
    /// metric by the index.
    package func silence(_ pool: PostgresPool) async throws -> Silence {
        try await pool.transaction { transaction in
            let known = try await transaction.query(
                """
                WITH RECURSIVE names (metric) AS (
                    (SELECT metric FROM windows WHERE step = '1d' AND dimension = '' ORDER BY metric LIMIT 1)
                    UNION ALL
                    SELECT (SELECT w.metric FROM windows w WHERE w.step = '1d' AND w.dimension = '' AND w.metric > n.metric
                        ORDER BY w.metric LIMIT 1)
                    FROM names n WHERE n.metric IS NOT NULL
                )
                SELECT metric FROM names WHERE metric IS NOT NULL LIMIT 500
                """
            ).map { try $0.value("metric", as: String.self) }
            guard !known.isEmpty else { return .nothing }
            guard known.contains(metric) else { return .metric(known: known) }
            func times(_ step: String, _ dimension: String) async throws -> (Timestamp, Timestamp)? {
                let row = try await transaction.query(
                    """
                    SELECT min(window_start) AS first, max(window_start) AS last FROM windows
                    WHERE metric = \(metric) AND step = \(step) AND dimension = \(dimension)
                        AND (\(campaign)::text IS NULL OR campaign = \(campaign))
                    """)[0]
                guard let first: Timestamp = try row.optional("first"), let last: Timestamp = try row.optional("last")
                else { return nil }
                return (first, last)
            }
            if let (first, last) = try await times(step, dimension) { return .time(first: first, last: last) }
            if try await times(step, "") != nil { return .dimension }
            return try await times("1d", "") == nil ? .campaign : .step
        }
    }
}
