internal import Commands
internal import Contracts
internal import DeadLetters
internal import Flotilla
internal import JSON
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
            let place = try DlqPlace(needsBroker: true)
            return try finish {
                var filter = DeadLetterFilter()
                filter.ids = [id]
                let only = filter
                let (found, rounds): (IndexedLetter?, [StoryLine]) = try await place.withIndexOrTopics { index in
                    let found = try await index.find(id)
                    if isUnmasked, found != nil {
                        try await index.noteUnmasked(only, "show", count: 1, who: DlqPlace.user)
                    }
                    return (found, try await index.rounds(of: id))
                } orTopics: { scan in
                    (try await scan.run(only).letters.first.map { IndexedLetter(unindexed: $0) }, [])
                }
                guard let found else { throw Refused("there is no dead letter \(id)") }
                let topics = try await place.topics()
                let page = try await place.withReader { reader in
                    try await LetterPage(found, rounds, place, topics, reader, isUnmasked: isUnmasked)
                }
                print(isJSON ? page.json : page.text)
                return .ok
            }
        })
}

/// All that is shown of one dead letter.
struct LetterPage: Sendable {
    let indexed: IndexedLetter
    let headers: [Header]
    let story: [StoryLine]
    let body: BodyView
    let bodyNote: String?

    init(
        _ indexed: IndexedLetter, _ rounds: [StoryLine], _ place: DlqPlace, _ topics: Set<TopicName>,
        _ reader: RecordReader, isUnmasked: Bool
    ) async throws {
        self.indexed = indexed
        let letter = indexed.letter
        let topic = place.namespace.topic(letter.family.deadLetters)
        let record =
            topics.contains(topic)
            ? try await reader.read(letter.offset, of: TopicPartition(topic, letter.partition)) : nil
        headers = record?.headers ?? []
        var (value, note): ([UInt8]?, String?) = (record?.valueBytes, nil)
        if record == nil {
            note = "gone: the retention of \(topic) has deleted it"
        } else if letter.isShed, let record {
            let source = try await reader.shedBody(of: record, letter, place.namespace)
            value = source?.valueBytes
            note =
                source == nil
                ? "it did not fit into the dead letter, and is no more in \(letter.family.source)"
                : "it did not fit into the dead letter; this is from \(letter.family.source)"
        }
        bodyNote = note
        let personal = place.catalog?[letter.family.source]?.pii
        body = BodyView(value, personal: personal, unmasked: isUnmasked)
        var lines = (try? await reader.attempts(of: letter, place.namespace, topics: topics)) ?? []
        lines.append(StoryLine(letter.firstFailed, "failed for the first time"))
        lines.append(
            StoryLine(
                letter.at,
                "dead letter, \(letter.reason), after \(letter.attempts) \(letter.attempts == 1 ? "attempt" : "attempts") in \(Self.span(letter)): \(letter.errorMessage)"
            ))
        lines += rounds
        story = lines.sorted { $0.at < $1.at }
    }

    private static func span(_ letter: DeadLetter) -> String {
        let milliseconds = letter.at.milliseconds - letter.firstFailed.milliseconds
        return Duration.milliseconds(max(0, milliseconds > 10_000 ? milliseconds / 1000 * 1000 : milliseconds)).text
    }

    private func header(_ name: String) -> String? { headers.last { $0.name == name }?.text }

    // MARK: For people

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
        row("source", "\(letter.family.source), partition \(letter.source.partition), offset \(letter.source.offset)")
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
        lines.append("headers")
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

    // MARK: For programs

    var json: String {
        var writer = JSONWriter()
        writer.object { json in
            indexed.write(to: &json)
            json.object("headers") { json in
                for header in headers { json.member(header.name, header.shown) }
            }
            json.array("story") { list in
                for line in story {
                    list.object { json in
                        json.member("at", line.at.description)
                        json.member("what", line.what)
                    }
                }
            }
            body.write(to: &json)
            if let bodyNote { json.member("body_note", bodyNote) }
        }
        return writer.text
    }
}

extension StoryLine {
    fileprivate init(_ at: Timestamp, _ what: String) { self.init(at: at, what: what) }
}

extension Header {
    /// Its text, or its bytes in base 64.
    var shown: String { value.map { text ?? "base64:" + Base64.encode($0) } ?? "" }
}

extension BodyView {
    /// As the members `body`, or what stands for it.
    func write(to json: inout JSONWriter) {
        switch self {
        case .json(let text):
            json.name("body")
            // On one line: no string of it has a line break that is not escaped.
            json.append(json: text.split(separator: "\n").map { $0.drop { $0 == " " } }.joined().utf8)
        case .text(let text): json.member("body", text)
        case .binary(let dump, let count):
            json.member("body_hex", dump)
            json.member("body_bytes", count)
        case .hidden(let why): json.member("body_hidden", why)
        case .none:
            json.name("body")
            json.appendNull()
        }
    }
}
