internal import Aggregate
internal import Commands
internal import Contracts
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
            90m, 7d. Sums are exact; uniques are within 2 %, quantiles within 1 %. When there is no window it says why on
            standard error, and ends with 0.
            """,
        options: [
            Option(
                name: "metric", value: "M", help: "\(usual.joined(separator: ", ")) or an event's type"
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
                let rows = try await query.run(pool)
                for row in rows { print(String(decoding: row.json, as: UTF8.self)) }
                if rows.isEmpty { Program.complain("\(Program.name): \(reason(try await query.silence(pool), query))") }
                return .ok
            }
        })

    /// Metrics of the types that come with Flotilla.
    private static let usual = ["impressions", "clicks", "conversions", "orders", "revenue"]

    private static func reason(_ silence: WindowQuery.Silence, _ query: WindowQuery) -> String {
        let none = "no window of \(query.metric)"
        let soon =
            "an event counts a moment after it was taken, and \(Program.name) status shows how far behind aggregate is"
        switch silence {
        case .nothing: return "no window of anything yet: \(soon)"
        case .metric(let known):
            if usual.contains(query.metric) { return "\(none) yet: \(soon)" }
            return "\(none) yet: \(Nearest.hint(query.metric, known + usual.filter { !known.contains($0) }))"
        case .campaign: return "\(none) for the campaign \(query.campaign ?? ""): others have some"
        case .dimension:
            return
                "\(none) by \(query.dimension): no event of it has that dimension, or it is none of the `dimensions` in "
                + "metrics.points.yaml that have windows of their own"
        case .step: return "\(none) of \(query.step) any more: longer ones are kept for longer, see --step"
        case .time(let first, let last):
            return "\(none) in that time: the first begins at \(first), the last at \(last), see --since and --until"
        }
    }
}
