import Contracts
import Flotilla
import FlotillaTesting
import Kafka

/// What has to hold of a log after every run, whatever went wrong on the way.
struct Verdict {
    let policy: ConsumerPolicy
    /// The ids of each event's outputs.
    let outputs: [String: Set<String>]

    private var family: TopicFamily { TopicFamily("events", policy.handler) }

    /// As a run has it that nothing went wrong in.
    init(_ policy: ConsumerPolicy, undisturbed log: MemoryLog) {
        self.policy = policy
        var outputs: [String: Set<String>] = [:]
        for record in log.records(of: "results") {
            let words = String(decoding: record.valueBytes ?? [], as: UTF8.self).dropFirst().split(separator: " ")
            outputs[String(words[0]), default: []].insert(record.text("ce_id") ?? "")
        }
        self.outputs = outputs
    }

    /// All that is wrong.
    func faults(_ log: MemoryLog, handled: [String]) -> [String] {
        var faults: [String] = []
        let sources = log.records(of: family.source)
        for record in sources {
            let id = record.text("ce_id") ?? ""
            if !id.isEmpty, !handled.contains(id) { faults.append("\(id) was not handled") }
            faults += letterFaults(of: record, id, log)
        }
        let published = log.records(of: "results").compactMap { $0.text("ce_id") }
        let expected = outputs.values.reduce(into: Set()) { $0.formUnion($1) }
        if Set(published) != expected { faults.append("published \(published), not \(expected)") }
        let letters = log.records(of: family.deadLetters).count { letter in
            !sources.contains { $0.coordinates == letter.coordinates }
        }
        if letters > 0 { faults.append("\(letters) dead letters of nobody") }
        return faults + commitFaults(log.journal)
    }

    /// A poison record is a dead letter with the right reason, byte for byte; any other record is none.
    private func letterFaults(of record: Record, _ id: String, _ log: MemoryLog) -> [String] {
        let letters = log.records(of: family.deadLetters).filter { $0.coordinates == record.coordinates }
        guard let reason = ScriptedHandler.reason(id, policy) else {
            return letters.isEmpty ? [] : ["\(id) is a dead letter: \(letters[0].text("dlq-reason") ?? "")"]
        }
        guard !letters.isEmpty else { return ["\(id) is no dead letter"] }
        return letters.flatMap { letter -> [String] in
            var faults: [String] = []
            if letter.text("dlq-reason") != reason { faults.append("\(id): \(letter.text("dlq-reason") ?? "")") }
            if letter.keyBytes != record.keyBytes { faults.append("\(id): another key") }
            if letter.valueBytes != record.valueBytes { faults.append("\(id): another value") }
            if letter.partition != record.partition { faults.append("\(id): another partition") }
            if letter.headers.prefix(record.headerCount) != record.headers[...] {
                faults.append("\(id): other headers")
            }
            return faults
        }
    }

    /// Whatever is below a committed offset had its outputs or its copy in the log before.
    private func commitFaults(_ journal: [MemoryLog.Entry]) -> [String] {
        var faults: [String] = []
        var published: Set<String> = []
        var records: [TopicPartition: [(record: Record, at: Int)]] = [:]
        var copies: [String: Int] = [:]
        for (at, entry) in journal.enumerated() {
            switch entry {
            case .appended(let record):
                records[record.topicPartition, default: []].append((record, at))
                if record.topic == "results" { published.insert(record.text("ce_id") ?? "") }
                if record.text("src-topic") != nil { copies[record.coordinates] = at }
            case .committed(_, let commit):
                let below = (records[commit.place] ?? []).filter { $0.record.offset < commit.offset }
                for (record, appended) in below {
                    let id = record.text("ce_id") ?? ""
                    let isCopied = (copies[record.coordinates] ?? -1) > appended
                    let isOut =
                        ScriptedHandler.reason(id, policy) == nil && outputs[id, default: []].isSubset(of: published)
                    if !isCopied, !isOut {
                        faults.append("\(commit.place) was committed up to \(commit.offset), above \(id)")
                    }
                }
            }
        }
        return faults
    }
}

extension Record {
    /// Where a record was first, as its headers say when it is a copy.
    fileprivate var coordinates: String {
        guard let topic = text("src-topic") else { return "\(topicPartition)/\(offset)" }
        return "\(topic)/\(text("src-partition") ?? "")/\(text("src-offset") ?? "")"
    }
}
