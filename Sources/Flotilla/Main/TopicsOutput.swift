internal import Contracts
internal import JSON
internal import Model
internal import Platform

// What `flotilla topics` prints: for people, and with --json for programs.

extension TopicPlan.Change {
    var text: String {
        switch self {
        case .create(let wanted):
            let copies = wanted.replication.map { ", \($0) copies" } ?? ""
            let settings = wanted.settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return "+ \(wanted.name)  \(wanted.partitions) partitions\(copies), \(settings.joined(separator: ", "))"
        case .grow(let name, let from, let to): return "~ \(name)  partitions \(from) → \(to)"
        case .settings(let name, let settings):
            let list = settings.map { "\($0.name) \($0.from ?? "(unknown)") → \($0.to)" }
            return "~ \(name)  \(list.joined(separator: ", "))"
        }
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            switch self {
            case .create(let wanted):
                json.member("action", "create")
                json.member("topic", wanted.name.rawValue)
                json.member("partitions", wanted.partitions)
                json.name("replication")
                if let copies = wanted.replication { json.append(copies) } else { json.appendNull() }
                json.object("settings") { json in
                    for (name, value) in wanted.settings.sorted(by: { $0.key < $1.key }) { json.member(name, value) }
                }
            case .grow(let name, let from, let to):
                json.member("action", "grow")
                json.member("topic", name.rawValue)
                json.member("from", from)
                json.member("to", to)
            case .settings(let name, let settings):
                json.member("action", "settings")
                json.member("topic", name.rawValue)
                json.array("settings") { json in
                    for setting in settings {
                        json.object { json in
                            json.member("name", setting.name)
                            json.name("from")
                            if let from = setting.from { json.append(from) } else { json.appendNull() }
                            json.member("to", setting.to)
                        }
                    }
                }
            }
        }
    }
}

extension TopicPlan {
    var text: String {
        var lines = changes.map(\.text)
        lines += warnings.map { "warning: \($0)" }
        lines += losses.map { "warning: \($0): apply does it only with --shorten-retention" }
        lines += refusals.map { "cannot be done: \($0)" }
        lines += leftovers.map { "left alone: \($0), which no topic file wants any more" }
        if changes.isEmpty, refusals.isEmpty {
            lines.append("nothing to do")
        } else {
            lines.append("\(changes.count) to do, \(refusals.count) that cannot be done")
        }
        return lines.joined(separator: "\n")
    }

    var json: String {
        var json = JSONWriter()
        json.object { json in
            json.array("changes") { json in changes.forEach { $0.write(to: &json) } }
            json.array("refusals") { json in refusals.forEach { $0.write(to: &json) } }
            json.array("warnings") { json in (warnings + losses).forEach { $0.write(to: &json) } }
            json.array("leftovers") { json in leftovers.forEach { json.append($0.rawValue) } }
        }
        return json.text
    }

    static func json(done: [Change], warnings: [Notice], faults: [String]) -> String {
        var json = JSONWriter()
        json.object { json in
            json.array("done") { json in done.forEach { $0.write(to: &json) } }
            json.array("warnings") { json in warnings.forEach { $0.write(to: &json) } }
            json.array("faults") { json in faults.forEach { json.append($0) } }
        }
        return json.text
    }
}

extension TopicPlan.Notice {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("topic", topic.rawValue)
            json.member("reason", reason)
        }
    }
}

extension TopicCatalog {
    /// `against` is the folder that it was compared with.
    func summary(_ changes: [ContractChange], against: String?) -> String {
        var lines = changes.map { "\($0.isBreaking ? "breaking" : "compatible"): \($0)" }
        let derived = wanted.count - topics.count
        lines.append(
            "\(Words.count(topics.count, "topic")), \(derived) derived, "
                + "\(Words.count(handlers.count, "handler")): the files are right")
        if let against {
            let breaking = changes.count { $0.isBreaking }
            lines.append("against \(against): \(breaking) breaking, \(changes.count - breaking) compatible")
        }
        return lines.joined(separator: "\n")
    }

    func json(changes: [ContractChange], faults: [TopicFault]) -> String {
        var json = JSONWriter()
        json.object { json in
            json.array("topics") { json in topics.forEach { json.append($0.name.rawValue) } }
            json.array("handlers") { json in handlers.forEach { json.append($0.rawValue) } }
            json.array("faults") { json in
                for fault in faults {
                    json.object { json in
                        json.member("file", fault.file)
                        if let place = fault.place {
                            json.member("line", place.line)
                            json.member("column", place.column)
                        }
                        json.member("reason", fault.reason)
                    }
                }
            }
            json.array("changes") { json in
                for change in changes {
                    json.object { json in
                        json.member("breaking", change.isBreaking)
                        json.member("topic", change.topic.rawValue)
                        json.member("what", change.what)
                        json.member("reason", change.reason)
                    }
                }
            }
        }
        return json.text
    }
}
