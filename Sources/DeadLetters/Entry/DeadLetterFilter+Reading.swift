package import Platform

// As people say it, on the command line and in the address of a page.
extension DeadLetterFilter {
    /// What cannot be meant; its text begins with the name.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let name: String
        package let problem: String

        package var description: String { "\(name) \(problem)" }
    }

    /// The names that `said` is asked for.
    package static let names = [
        "topic", "handler", "reason", "fingerprint", "type", "key", "state", "since", "until", "id",
    ]
    private static let mostIDs = 1000

    package init(now: Int64, _ said: (String) -> String?) throws(Fault) {
        self.init()
        (topic, handler, reason) = (said("topic"), said("handler"), said("reason"))
        (fingerprint, type, key) = (said("fingerprint"), said("type"), said("key"))
        for name in ["topic", "handler", "reason", "fingerprint", "type", "key"] {
            guard said(name)?.utf8.contains(0) != true else {
                throw Fault(name: name, problem: "has a character that no name has")
            }
        }
        for text in said("state")?.split(separator: ",") ?? [] {
            guard let state = DeadLetterState(rawValue: String(text)) else {
                let known = DeadLetterState.allCases.map(\.rawValue).joined(separator: ", ")
                throw Fault(name: "state", problem: "\(String(text.prefix(80)).debugDescription) is none of \(known)")
            }
            states.append(state)
        }
        (since, until) = (try Self.time("since", now, said), try Self.time("until", now, said))
        if let since, let until, since >= until { throw Fault(name: "until", problem: "is not after since") }
        for text in said("id")?.split(separator: ",") ?? [] {
            guard ids.count < Self.mostIDs else {
                throw Fault(name: "id", problem: "names more than \(Self.mostIDs): say what they have in common")
            }
            guard let id = UUIDValue(text: String(text)) else {
                throw Fault(
                    name: "id",
                    problem: "\(String(text.prefix(80)).debugDescription) is no dead letter's id: dlq list shows them")
            }
            ids.append(id)
        }
    }

    /// A time of that name; nil when nothing is said.
    package static func time(
        _ name: String, _ now: Int64, _ said: (String) -> String?
    ) throws(Fault) -> Timestamp? {
        guard let text = said(name) else { return nil }
        if let time = Timestamp(text: text) {
            guard (0...253_402_300_799_999).contains(time.milliseconds) else {
                throw Fault(name: name, problem: "is a time from 1970 to 9999")
            }
            return time
        }
        // So long ago that no clock says when is from the beginning on.
        if let ago = Duration(text: text) {
            return Timestamp(milliseconds: max(0, now.subtractingReportingOverflow(ago.milliseconds).partialValue))
        }
        let parts = text.split(separator: ":")
        if parts.count == 2, let hour = Int64(parts[0]), let minute = Int64(parts[1]), (0..<24).contains(hour),
            (0..<60).contains(minute)
        {
            let day: Int64 = 86_400_000
            let today = now / day * day + (hour * 60 + minute) * 60_000
            return Timestamp(milliseconds: today > now ? today - day : today)
        }
        throw Fault(name: name, problem: "is RFC 3339, HH:MM, or how long ago, as 90m or 7d")
    }
}

extension DeadLetterFilter {
    /// Those of them in this state; nil when other states were asked for.
    package func narrowed(to state: DeadLetterState) -> DeadLetterFilter? {
        guard states.isEmpty || states.contains(state) else { return nil }
        var filter = self
        filter.states = [state]
        return filter
    }
}
