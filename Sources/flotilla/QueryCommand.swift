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
            guard let metric = arguments["metric"] else { throw arguments.fault("--metric is missing: of what?") }
            guard let step = arguments["step"], Step(rawValue: step) != nil else {
                throw arguments.fault("--step is 1m, 1h or 1d")
            }
            let now = Time.wallMilliseconds
            func time(_ name: String) throws -> Timestamp? {
                guard let text = arguments[name] else { return nil }
                if let time = Timestamp(text: text) { return time }
                guard let ago = Duration(text: text) else {
                    throw arguments.fault("--\(name) is RFC 3339, or how long ago, as 90m or 7d")
                }
                return Timestamp(milliseconds: now - ago.milliseconds)
            }
            let since = try time("since") ?? Timestamp(milliseconds: 0)
            let until = try time("until") ?? Timestamp(milliseconds: 253_402_300_799_999)
            let (campaign, dimension) = (arguments["campaign"], arguments["by"] ?? "")
            return try inDatabase(of: "aggregate") { pool in
                let rows = try await pool.transaction { transaction in
                    try await transaction.query(
                        windows(of: metric, campaign, step: step, dimension: dimension, since, until))
                }
                for row in rows { print(String(decoding: try WindowRow(row).json, as: UTF8.self)) }
                return .ok
            }
        })

    /// With a campaign and without are different statements, for which the tables have an index each.
    private static func windows(
        of metric: String, _ campaign: String?, step: String, dimension: String, _ since: Timestamp, _ until: Timestamp
    ) -> SQL {
        if let campaign {
            return """
                SELECT *, sum_micros::text AS sum FROM windows
                WHERE campaign = \(campaign) AND metric = \(metric) AND step = \(step)
                    AND window_start >= \(since) AND window_start < \(until) AND dimension = \(dimension)
                ORDER BY window_start, value
                """
        }
        if dimension.isEmpty {
            return """
                SELECT *, sum_micros::text AS sum FROM windows
                WHERE metric = \(metric) AND step = \(step) AND dimension = ''
                    AND window_start >= \(since) AND window_start < \(until)
                ORDER BY window_start, campaign
                """
        }
        return """
            SELECT *, sum_micros::text AS sum FROM windows
            WHERE metric = \(metric) AND step = \(step) AND dimension = \(dimension)
                AND window_start >= \(since) AND window_start < \(until)
            ORDER BY window_start, campaign, value
            """
    }
}
