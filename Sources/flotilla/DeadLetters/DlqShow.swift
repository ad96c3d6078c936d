internal import Commands
internal import DeadLetters
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform

extension Command {
    /// `dlq show`: one dead letter, all there is to know.
    static let dlqShow = Command(
        name: "dlq show", summary: "one dead letter: its body, headers, story and cause",
        details: """
            The body comes from the dead-letter topic, or from where the record was first when it did not fit there. What
            the topic file calls personal (`pii`) is masked.
            """,
        operands: [Operand(name: "ID", help: "as dlq list shows it")], options: [DlqOptions.unmasked, DlqOptions.json],
        run: { arguments in
            let id = try arguments.id(arguments.operands[0])
            let (isUnmasked, isJSON) = (arguments.has("unmasked"), arguments.has("json"))
            // Who sees what is hidden is in the audit, and that is in the index.
            let place = try DlqPlace(needsIndex: isUnmasked, needsBroker: true)
            return try finish {
                var filter = DeadLetterFilter()
                filter.ids = [id]
                let only = filter
                func look(_ index: DeadLetterIndex) async throws -> (IndexedLetter?, [StoryLine]) {
                    let found = try await index.find(id)
                    if isUnmasked, found != nil {
                        try await index.noteUnmasked(only, "show", count: 1, who: DlqPlace.user)
                    }
                    return (found, try await index.rounds(of: id))
                }
                let (found, rounds): (IndexedLetter?, [StoryLine])
                if isUnmasked {
                    (found, rounds) = try await place.withIndex(look)
                } else {
                    (found, rounds) = try await place.withIndexOrTopics(look) { scan in
                        (try await scan.run(only).letters.first.map { IndexedLetter(unindexed: $0) }, [])
                    }
                }
                guard let found else { throw Refused("there is no dead letter \(id)") }
                let topics = try await place.topics()
                let page = try await place.withReader { reader in
                    try await LetterPage(
                        found, rounds, place.namespace, place.catalog, topics: topics, reader, isUnmasked: isUnmasked)
                }
                print(isJSON ? page.json : page.text)
                return .ok
            }
        })
}

extension LetterPage {
    private static let textLimit = 65_536

    var text: String {
        let letter = indexed.letter
        var lines = ["dead letter \(letter.id)"]
        func row(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  \(name)\(String(repeating: " ", count: max(1, 12 - name.count)))\(Harmless.line(value))")
        }
        let since = indexed.stateAt.map { " since \($0)" } ?? ""
        row("state", (indexed.state?.rawValue ?? "not known") + since)
        row("note", indexed.note)
        row("event", "\(letter.type) \(letter.eventID) by \(letter.eventSource)")
        row("key", letter.key ?? "(none)")
        row("handler", "\(letter.family.handler), at \(letter.stage.isEmpty ? "?" : letter.stage)")
        row("source", "\(letter.source.topic), partition \(letter.source.partition), offset \(letter.source.offset)")
        row("lies in", "\(letter.family.deadLetters), partition \(letter.partition), offset \(letter.offset)")
        row("reason", letter.reason)
        row("error", "\(letter.errorType): \(letter.errorMessage)")
        row("group", letter.fingerprint)
        row("trace", header(HeaderName.dlqTrace))
        row(
            "worker",
            [header(HeaderName.dlqWorker), header(HeaderName.dlqBuild)].compactMap { $0 }.joined(separator: ", build "))
        if let stack = header(HeaderName.dlqErrorStack) {
            lines += ["stack"] + stack.split(separator: "\n").map { "  " + Harmless.line(String($0)) }
        }
        lines.append("story")
        for line in story { lines.append("  \(line.at)  \(Harmless.line(line.what))") }
        lines.append("headers" + (headersNote.map { " (\($0))" } ?? ""))
        for header in headers where !HeaderName.isOurs(header.name) {
            lines.append("  \(Harmless.line(header.name)): \(Harmless.line(header.shown))")
        }
        lines.append("body" + (bodyNote.map { " (\($0))" } ?? ""))
        lines += Harmless.text(bodyText).split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }
        return lines.joined(separator: "\n")
    }

    private var bodyText: String {
        switch body {
        case .json(let text), .text(let text):
            guard text.utf8.count > Self.textLimit else { return text }
            return String(decoding: text.utf8.prefix(Self.textLimit), as: UTF8.self)
                + "\n… \(text.utf8.count - Self.textLimit) bytes more: \(Program.name) dlq export --id \(indexed.letter.id)"
        case .binary(let dump, let count): return "\(count) bytes, not text\n" + dump
        case .hidden(let why): return "(not shown: \(why))"
        case .none: return bodyNote == nil ? "(none)" : "(not there)"
        }
    }
}
