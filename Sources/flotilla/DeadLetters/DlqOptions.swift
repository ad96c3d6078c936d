internal import Commands
internal import DeadLetters
internal import Glibc
internal import JSON
internal import Platform

extension Command {
    /// The verbs of `dlq`.
    static let dlq: [Command] = [
        .dlqList, .dlqGroups, .dlqShow, .dlqNote, .dlqExport, .dlqDiscard, .dlqRestore, .dlqReplay, .dlqJobs, .dlqAudit,
    ]
}

/// What the commands of dead letters have in common on the command line.
enum DlqOptions {
    static let filters: [Command.Option] = [
        .init(name: "topic", value: "T", help: "whose record it was, of this topic"),
        .init(name: "handler", value: "H", help: "who could not handle it"),
        .init(name: "reason", value: "R", help: "as exhausted, permanent, schema-invalid, timeout, late"),
        .init(name: "fingerprint", value: "F", help: "of this group"),
        .init(name: "type", value: "T", help: "of this ce_type"),
        .init(name: "key", value: "K", help: "of this key"),
        .init(name: "state", value: "S,…", help: "open, replaying, replayed, resolved, discarded, expired"),
        .init(
            name: "since", value: "T",
            help: "dead since: RFC 3339, HH:MM of the last day (UTC), or how long ago, as 90m"),
        .init(name: "until", value: "T", help: "and before this"),
        .init(name: "id", value: "ID,…", help: "these alone"),
    ]
    static let json = Command.Option(name: "json", help: "one JSON object a line")
    static let confirm = Command.Option(
        name: "confirm", value: "COUNT", help: "how many are meant; refused when more fit. Asked for on a terminal")
    static let dryRun = Command.Option(name: "dry-run", help: "only say what would be done")
    static let unmasked = Command.Option(
        name: "unmasked", help: "with the personal fields that the topic file names; leaves a line in the audit")

    static let most = Command.Option(name: "limit", value: "N", help: "no more than so many, the oldest")

    static func limit(_ fallback: Int) -> Command.Option {
        Command.Option(name: "limit", value: "N", fallback: "\(fallback)", help: "no more than so many")
    }
}

extension Arguments {
    /// A number of the option, within bounds.
    func number(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw fault("--\(name) is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Of what changes many: how many at most, when that is said.
    func most() throws -> Int? { try number("limit", in: 1...1_000_000_000) }

    func filter() throws -> DeadLetterFilter {
        do throws(DeadLetterFilter.Fault) {
            return try DeadLetterFilter(now: Time.wallMilliseconds) { self[$0] }
        } catch { throw fault("--\(error)") }
    }

    /// Behind which one to go on.
    func after() throws -> DeadLetterIndex.Place? {
        try self["after"].map { text in
            guard let place = DeadLetterIndex.Place(text: text) else {
                throw fault("--after is what a list said at its end")
            }
            return place
        }
    }

    func id(_ text: String) throws -> UUIDValue {
        guard let id = UUIDValue(text: text) else {
            throw fault("\(text.debugDescription) is no dead letter's id: dlq list shows them")
        }
        return id
    }

    func time(_ name: String, _ now: Int64) throws -> Timestamp? {
        do throws(DeadLetterFilter.Fault) {
            return try DeadLetterFilter.time(name, now) { self[$0] }
        } catch { throw fault("--\(error)") }
    }

    /// How many whoever asks is sure of. On a terminal they are told how many fit and asked; elsewhere they have said it.
    func confirmed(_ count: Int, _ what: String) throws -> Int {
        if let number = try number("confirm", in: 1...1_000_000_000) { return number }
        guard isatty(0) == 1, isatty(1) == 1 else {
            throw Refused("\(count) fit: say --confirm \(count) to \(what) them, or --dry-run to look")
        }
        print("\(count) fit. To \(what) them, type their number: ", terminator: "")
        fflush(nil)
        guard let line = readLine(), Int(line) == count else { throw Refused("nothing has changed") }
        return count
    }
}

extension JSONWriter {
    /// One object on a line of its own.
    static func line(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        writer.object { write(&$0) }
        return writer.text
    }
}
