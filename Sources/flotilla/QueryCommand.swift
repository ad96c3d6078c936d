internal import Aggregate
internal import Commands
internal import Flotilla
internal import Model
internal import Platform
internal import Postgres

extension Command {
    /// `query`: windows of a series, one JSON object a line.
    static let query = Command(
        name: "query", summary: "windows of a metric, by time, one JSON object a line",
        details: """
            Reads what aggregate keeps, from AGGREGATE_DATABASE_URL or DATABASE_URL. Times are RFC 3339, or how long ago:
            90m, 7d. Sums are exact; uniques are within 2 %, quantiles within 1 %.
            """,
        options: [
            Option(
                name: "metric", value: "M", help: "impressions, clicks, conversions, orders, revenue or an event's type"
            ),
            Option(name: "campaign", value: "C", help: "of this campaign alone"),
            Option(name: "since", value: "T", fallback: "1d", help: "from here on"),
            Option(name: "until", value: "T", help: "up to here, that not included"),
            Option(name: "step", value: "1m|1h|1d", fallback: "1h", help: "how long a window is"),
            Option(name: "by", value: "DIM", help: "for each value of this dimension, instead of over all"),
            Option(name: "json", help: "what it prints anyway"),
        ],
        run: { arguments in
            let query: WindowQuery
            do throws(WindowQuery.Fault) {
                query = try WindowQuery(now: Time.wallMilliseconds) { arguments[$0] }
            } catch { throw arguments.fault("--\(error)") }
            return try inDatabase(of: "aggregate") { pool in
                for row in try await query.run(pool) { print(String(decoding: row.json, as: UTF8.self)) }
                return .ok
            }
        })
}
