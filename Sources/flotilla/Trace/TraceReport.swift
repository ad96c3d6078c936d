internal import Contracts
internal import Flotilla
internal import JSON
internal import Kafka
internal import Model
internal import Platform

/// What a trace has to say, for people and for programs.
struct TraceReport: Sendable {
    let id: String
    let scan: TraceScan
    let result: TraceScan.Result
    let state: TraceState
    let catalog: TopicCatalog
    let hasDatabase: Bool
    /// Of the topic files.
    let folder: String

    /// What one would expect and what was not found, and what was not looked at.
    var notes: [String] {
        var notes: [String] = []
        let absent = result.looked.filter { $0.records == nil }.map(\.topic.rawValue)
        if !absent.isEmpty { notes.append("not on the broker: \(absent.joined(separator: ", "))") }
        if result.found.isEmpty {
            notes.append(
                "no record with this id was found since \(Timestamp(milliseconds: scan.since)): it was published before, "
                    + "was deleted by its topic's retention, or never arrived; --since looks further back")
            let looked = catalog.topics.map(\.name.rawValue).sorted().joined(separator: ", ")
            notes.append(
                "only topics with a topic file in \(folder) are looked at, with their retry, dead-letter and replay topics: "
                    + "\(looked.isEmpty ? "there is none" : looked)\(others)")
        }
        if result.isCut { notes.append("only the first \(result.found.count) records are shown") }
        notes += unanswered
        notes += state.faults
        if !hasDatabase { notes.append("state was not looked at: DATABASE_URL is not set") }
        return notes
    }

    /// What the broker has beside them.
    private var others: String {
        guard !result.others.isEmpty else { return "" }
        let some = result.others.prefix(10).map(\.rawValue).joined(separator: ", ")
        let more = result.others.count > 10 ? " and \(result.others.count - 10) more" : ""
        return "; of what else is on the broker nothing was read: \(some)\(more)"
    }

    /// Handlers that are past a record, of which neither an output nor a dead letter nor a retry was found.
    private var unanswered: [String] {
        var notes: [String] = []
        var seen: Set<String> = []
        for record in result.found where record.role == .source {
            for progress in record.progress {
                guard seen.insert("\(record.name) \(progress.handler)").inserted,
                    let policy = catalog[record.topic]?.consumers.first(where: { $0.handler == progress.handler }),
                    !policy.produces.isEmpty
                else { continue }
                let places = result.found.filter {
                    $0.name == record.name && $0.topic == record.topic && $0.role == .source
                }
                guard places.contains(where: { $0.isPassed(by: progress.handler) }) else { continue }
                let isAnswered = result.found.contains { other in
                    if case .output(let origin) = other.match {
                        if origin.event == record.name, origin.handler == progress.handler { return true }
                    }
                    return other.name == record.name
                        && other.role.family == TopicFamily(record.topic, progress.handler)
                }
                if isAnswered { continue }
                let said: String
                switch progress.handler {
                // What they tell has names of its own; the state has what they made of it.
                case "aggregate", "notify": continue
                case _: said = "was found: it made none, or they are out of the time that was looked at"
                }
                notes.append(
                    "\(progress.handler) is past \(record.topic), and no output in "
                        + "\(policy.produces.map(\.rawValue).joined(separator: " or ")), no retry and no dead letter \(said)"
                )
            }
        }
        return notes
    }

    // MARK: For people

    var text: String {
        var lines: [String] = []
        var rows = [["WHERE", "WHEN", "WHAT", "AND THEN"]]
        for record in result.found {
            rows.append([
                "\(record.place.topic) \(record.place.partition)/\(record.offset)",
                record.timestamp.map { "\(Timestamp(milliseconds: $0))" } ?? "-", Self.shown(record.what),
                Self.shown(record.fate),
            ])
        }
        if !result.found.isEmpty { lines += Self.table(rows) + [""] }
        for finding in state.findings {
            let values = finding.values.map { "\($0.name) \(Self.shown($0.value))" }.joined(separator: ", ")
            lines.append("\(finding.handler): \(finding.what): \(values)")
        }
        if !state.findings.isEmpty { lines.append("") }
        let looked = result.looked.filter { $0.records != nil }
        let end = scan.until.map { " until \(Timestamp(milliseconds: $0))" } ?? ""
        lines.append(
            "looked at \(looked.reduce(0) { $0 + ($1.records ?? 0) }) records of \(looked.count) topics since "
                + "\(Timestamp(milliseconds: scan.since))\(end)")
        return (lines + notes).joined(separator: "\n")
    }

    private static func table(_ rows: [[String]]) -> [String] {
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, text) in row.enumerated() {
                line += text
                if column < 3 { line += String(repeating: " ", count: widths[column] - text.count + 2) }
            }
            return line
        }
    }

    /// What a stranger sent must not move a terminal's cursor.
    private static func shown(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? "\u{fffd}" : scalar
                }))
    }

    // MARK: For programs

    var json: String {
        var json = JSONWriter()
        json.object { json in
            json.member("id", id)
            json.member("since", "\(Timestamp(milliseconds: scan.since))")
            json.name("until")
            if let until = scan.until { json.append("\(Timestamp(milliseconds: until))") } else { json.appendNull() }
            json.array("looked_at") { json in
                for looked in result.looked {
                    json.object { json in
                        json.member("topic", looked.topic.rawValue)
                        json.name("records")
                        if let records = looked.records { json.append(records) } else { json.appendNull() }
                        json.member("found", looked.found)
                    }
                }
            }
            json.array("records") { json in result.found.forEach { $0.write(to: &json) } }
            json.array("state") { json in
                for finding in state.findings {
                    json.object { json in
                        json.member("handler", finding.handler.rawValue)
                        json.member("what", finding.what)
                        for (name, value) in finding.values {
                            json.member(String(name.map { $0 == " " ? "_" : $0 }), value)
                        }
                    }
                }
            }
            json.array("notes") { json in notes.forEach { json.append($0) } }
        }
        return json.text
    }
}

extension TraceRecord {
    func isPassed(by handler: HandlerName) -> Bool {
        progress.contains { $0.handler == handler && ($0.next.map { $0 > offset } ?? false) }
    }

    fileprivate var what: String {
        let origin: String
        switch match {
        case .asked: origin = "by \(name.source)"
        case .output(let from): origin = "\(from.number + 1). of \(from.handler)"
        }
        switch role {
        case .source: return "\(type), \(origin)"
        case .retry(_, let tier): return "waits \(tier), \(origin)"
        case .deadLetters: return "dead letter, \(origin)"
        case .replay: return "replay, \(origin)"
        }
    }

    fileprivate var fate: String {
        switch role {
        case .deadLetters:
            return "\(story[HeaderName.dlqReason] ?? "?"): \(story[HeaderName.dlqMessage] ?? "")"
        case .retry:
            return "due \(story[HeaderName.retryDue] ?? "?"): \(story[HeaderName.retryErrorMessage] ?? ""); \(steps)"
        case .source, .replay: return steps
        }
    }

    private var steps: String {
        progress.map { step in
            guard let next = step.next else { return "\(step.handler) has not begun" }
            if next > offset { return "\(step.handler) \(step.isState ? "has applied it" : "is past it")" }
            return "\(step.handler) has \(offset.rawValue - next.rawValue) others to do first"
        }.joined(separator: ", ")
    }

    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("topic", place.topic.rawValue)
            json.member("partition", place.partition.rawValue)
            json.member("offset", offset.rawValue)
            json.name("timestamp")
            if let timestamp { json.append("\(Timestamp(milliseconds: timestamp))") } else { json.appendNull() }
            json.member("kind", role.kind)
            json.member("id", name.id)
            json.member("source", name.source)
            json.member("type", type)
            json.name("key")
            if let key { json.append(key) } else { json.appendNull() }
            json.name("from")
            if case .output(let origin) = match {
                json.object { json in
                    json.member("id", origin.event.id)
                    json.member("source", origin.event.source)
                    json.member("handler", origin.handler.rawValue)
                    json.member("output", origin.number)
                }
            } else {
                json.appendNull()
            }
            json.object("headers") { json in
                for (header, value) in story.sorted(by: { $0.key < $1.key }) { json.member(header, value) }
            }
            json.array("handlers") { json in
                for step in progress {
                    json.object { json in
                        json.member("handler", step.handler.rawValue)
                        json.member("state", step.next.map { $0 > offset ? "done" : "waiting" } ?? "not begun")
                        json.member("known_by", step.isState ? "state" : "commit")
                        json.name("behind")
                        json.append(step.next.map { max(0, offset.rawValue - $0.rawValue + 1) } ?? offset.rawValue + 1)
                    }
                }
            }
        }
    }
}

extension WantedTopic.Role {
    fileprivate var kind: String {
        switch self {
        case .source: "event"
        case .retry: "retry"
        case .deadLetters: "dead letter"
        case .replay: "replay"
        }
    }
}
