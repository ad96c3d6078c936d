internal import JSON
internal import Model
package import Platform
package import Postgres

/// Which dead letters are meant: all that fit everything that is said.
package struct DeadLetterFilter: Sendable, Hashable {
    package var topic: String?
    package var handler: String?
    package var reason: String?
    package var fingerprint: String?
    package var type: String?
    package var key: String?
    package var states: [DeadLetterState] = []
    /// Of the time at which it became a dead letter; `until` is not included.
    package var since: Timestamp?
    package var until: Timestamp?
    package var ids: [UUIDValue] = []

    package init() {}

    /// Whether the counters alone can answer for it.
    package var isOfGroups: Bool { key == nil && since == nil && until == nil && ids.isEmpty }

    /// How many fit, as rows of `fingerprint, state, topic, reason, n`: of the counters when those can answer. Of a span of
    /// time they can for its whole hours, and what lies at its ends is counted.
    package var counted: SQL {
        let columns: SQL = "fingerprint, state, topic, reason"
        let entries: SQL = "SELECT \(columns), count(*) AS n FROM entries WHERE \(condition)"
        guard key == nil, ids.isEmpty else { return "\(entries) GROUP BY 1, 2, 3, 4" }
        guard since != nil || until != nil else {
            return
                "SELECT \(columns), sum(count) AS n FROM tallies WHERE \(groupCondition) AND count > 0 GROUP BY 1, 2, 3, 4"
        }
        let hour: Int64 = 3_600_000
        let first = since.map { Timestamp(milliseconds: ($0.milliseconds + hour - 1) / hour * hour) }
        let past = until.map { Timestamp(milliseconds: $0.milliseconds / hour * hour) }
        if let first, let past, first >= past { return "\(entries) GROUP BY 1, 2, 3, 4" }
        var hours: SQL = "SELECT \(columns), sum(count) AS n FROM hourly WHERE \(groupCondition) AND count > 0"
        if let first { hours = "\(hours) AND hour >= \(first)" }
        if let past { hours = "\(hours) AND hour < \(past)" }
        var parts: SQL = "\(hours) GROUP BY 1, 2, 3, 4"
        if let first { parts = "\(parts) UNION ALL \(entries) AND at < \(first) GROUP BY 1, 2, 3, 4" }
        if let past { parts = "\(parts) UNION ALL \(entries) AND at >= \(past) GROUP BY 1, 2, 3, 4" }
        return "SELECT \(columns), sum(n) AS n FROM (\(parts)) parts GROUP BY 1, 2, 3, 4"
    }

    /// Nothing is said.
    package var isEmpty: Bool { self == DeadLetterFilter() }

    /// The condition on what the counters know too.
    package var groupCondition: SQL {
        var parts: [SQL] = ["true"]
        if let topic { parts.append("topic = \(topic)") }
        if let handler { parts.append("handler = \(handler)") }
        if let reason { parts.append("reason = \(reason)") }
        if let fingerprint { parts.append("fingerprint = \(fingerprint)") }
        if let type { parts.append("ce_type = \(type)") }
        if states.count == 1, let state = states.first {
            parts.append("state = \(state.rawValue)")
        } else if !states.isEmpty {
            parts.append("state = ANY(\(states.map(\.rawValue))::text[])")
        }
        return Self.all(parts)
    }

    /// The condition on entries.
    package var condition: SQL {
        var parts = [groupCondition]
        if let key { parts.append("key = \(key)") }
        if let since { parts.append("at >= \(since)") }
        if let until { parts.append("at < \(until)") }
        if !ids.isEmpty { parts.append("id = ANY(\(ids)::uuid[])") }
        return Self.all(parts)
    }

    /// The names of those in this state that fit, each held until the end of the transaction: in one order, so that two
    /// who choose the same do not wait for each other. With a limit the oldest.
    func chosen(_ state: DeadLetterState, _ limit: Int?) -> SQL {
        let all: SQL = "SELECT id FROM entries WHERE \(condition) AND state = \(state.rawValue)"
        guard let limit else { return "\(all) ORDER BY id FOR UPDATE" }
        return "\(all) ORDER BY at, id LIMIT \(limit) FOR UPDATE"
    }

    private static func all(_ parts: [SQL]) -> SQL {
        parts.dropFirst().reduce(parts.first ?? "true") { "\($0) AND \($1)" }
    }

    /// The same question to one that was read from its topic, where nobody knows states.
    package func fits(_ letter: DeadLetter) -> Bool {
        func fits(_ wanted: String?, _ found: String?) -> Bool { wanted == nil || wanted == found }
        return fits(topic, letter.family.source.rawValue) && fits(handler, letter.family.handler.rawValue)
            && fits(reason, letter.reason) && fits(fingerprint, letter.fingerprint) && fits(type, letter.type)
            && fits(key, letter.key) && since.map { letter.at >= $0 } ?? true && until.map { letter.at < $0 } ?? true
            && (ids.isEmpty || ids.contains(letter.id))
    }

    /// For whoever looks later what somebody had in mind.
    package var json: String {
        var writer = JSONWriter()
        writer.object { json in
            if let topic { json.member("topic", topic) }
            if let handler { json.member("handler", handler) }
            if let reason { json.member("reason", reason) }
            if let fingerprint { json.member("fingerprint", fingerprint) }
            if let type { json.member("type", type) }
            if let key { json.member("key", key) }
            if !states.isEmpty { json.array("state") { list in for state in states { list.append(state.rawValue) } } }
            if let since { json.member("since", since.description) }
            if let until { json.member("until", until.description) }
            if !ids.isEmpty { json.array("id") { list in for id in ids { list.append(id.description) } } }
        }
        return writer.text
    }
}
