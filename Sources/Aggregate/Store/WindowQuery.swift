package import Platform
package import Postgres

/// Windows that somebody asks for: `flotilla query` and the read API.
package struct WindowQuery: Sendable, Hashable {
    package let metric: String
    /// Nil is all, each by itself.
    package let campaign: String?
    package let step: String
    /// Empty is over all.
    package let dimension: String
    package let since: Timestamp
    package let until: Timestamp

    /// What cannot be meant; its text begins with the name.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let name: String
        package let problem: String

        package var description: String { "\(name) \(problem)" }
    }

    /// The names that `said` is asked for.
    package static let names = ["metric", "campaign", "since", "until", "step", "by"]

    /// As people say it.
    package init(now: Int64, _ said: (String) -> String?) throws(Fault) {
        guard let metric = said("metric"), !metric.isEmpty else {
            throw Fault(name: "metric", problem: "is missing: of what?")
        }
        for name in ["metric", "campaign", "by"] where said(name)?.utf8.contains(0) == true {
            throw Fault(name: name, problem: "has a character that no name has")
        }
        step = said("step") ?? "1h"
        guard Step(rawValue: step) != nil else { throw Fault(name: "step", problem: "is 1m, 1h or 1d") }
        self.metric = metric
        (campaign, dimension) = (said("campaign"), said("by") ?? "")
        since = try Self.time("since", said, now) ?? Timestamp(milliseconds: now - 86_400_000)
        until = try Self.time("until", said, now) ?? Timestamp(milliseconds: 253_402_300_799_999)
    }

    private static func time(_ name: String, _ said: (String) -> String?, _ now: Int64) throws(Fault) -> Timestamp? {
        guard let text = said(name) else { return nil }
        let ago = Duration(text: text).map { Timestamp(milliseconds: now - $0.milliseconds) }
        guard let time = Timestamp(text: text) ?? ago else {
            throw Fault(name: name, problem: "is RFC 3339, or how long ago, as 90m or 7d")
        }
        guard (0...253_402_300_799_999).contains(time.milliseconds) else {
            throw Fault(name: name, problem: "is a time from 1970 to 9999")
        }
        return time
    }

    /// Them by time, no more than `limit`.
    package func run(_ pool: PostgresPool, limit: Int = .max) async throws -> [WindowRow] {
        try await pool.transaction { transaction in
            try await transaction.query("\(statement) LIMIT \(limit)").map { try WindowRow($0) }
        }
    }

    /// With a campaign and without are different statements, for which the tables have an index each.
    private var statement: SQL {
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
