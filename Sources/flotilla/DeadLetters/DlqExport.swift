internal import Commands
internal import Contracts
internal import DeadLetters
internal import Glibc
internal import JSON
internal import Kafka
internal import Model
internal import Platform

extension Command {
    /// `dlq export`: dead letters whole, for other tools.
    static let dlqExport = Command(
        name: "dlq export", summary: "dead letters with headers and bodies, one JSON object a line",
        details: """
            Bodies are JSON where they are JSON, else text, else base 64. What topic files call personal is masked, and
            bodies of which nobody can tell are left out, unless --unmasked. A body that is gone is told as `body_gone`.
            When there are more than --limit it says where to go on.
            """,
        options: DlqOptions.filters + [
            DlqOptions.limit(100_000), Option(name: "after", value: "PLACE", help: "go on behind this"),
            DlqOptions.unmasked,
            Option(
                name: "file", value: "F",
                help: "to this new file, that only its owner reads, instead of the standard output"),
        ],
        run: { arguments in
            let filter = try arguments.filter()
            let limit = try arguments.number("limit", in: 1...100_000_000) ?? 100_000
            let (isUnmasked, after) = (arguments.has("unmasked"), try arguments.after())
            let place = try DlqPlace(needsIndex: true, needsBroker: true)
            var descriptor: Int32 = 1
            if let file = arguments["file"] {
                descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else { throw SystemError.last("open", file) }
            }
            let output = descriptor
            return try finish {
                let (count, next) = try await place.withIndex { index in
                    if isUnmasked {
                        try await index.noteUnmasked(
                            filter, "export", count: try await index.count(filter), who: DlqPlace.user)
                    }
                    return try await place.withReader { reader in
                        try await Export(place: place, output: output, isUnmasked: isUnmasked)
                            .run(index, reader, filter, limit: limit, after: after)
                    }
                }
                if output != 1 { print("\(count) exported") }
                if let next { Program.complain("\(Program.name): there are more: --after \(next) goes on") }
                return .ok
            }
        })
}

private struct Export {
    let place: DlqPlace
    let output: Int32
    let isUnmasked: Bool

    private static let page = 200

    func run(
        _ index: DeadLetterIndex, _ reader: RecordReader, _ filter: DeadLetterFilter, limit: Int,
        after start: DeadLetterIndex.Place?
    ) async throws -> (count: Int, next: DeadLetterIndex.Place?) {
        let topics = try await place.topics()
        var count = 0
        var after = start
        while count < limit {
            let letters = try await index.list(filter, limit: min(Self.page, limit - count), after: after)
            guard let last = letters.last else { break }
            after = DeadLetterIndex.Place(at: last.letter.at, id: last.letter.id)
            for (partition, together) in Dictionary(grouping: letters, by: { place(of: $0.letter) }) {
                var left = topics.contains(partition.topic) ? Set(together.map(\.letter.offset)) : []
                var records: [Offset: Record] = [:]
                var written: Set<UUIDValue> = []
                repeat {
                    (records, left) = try await reader.read(left, of: partition)
                    for letter in together where !left.contains(letter.letter.offset) {
                        guard written.insert(letter.letter.id).inserted else { continue }
                        let record = records[letter.letter.offset].flatMap { letter.letter.isIn($0) ? $0 : nil }
                        try await write(letter, record, reader)
                    }
                } while !left.isEmpty
            }
            count += letters.count
        }
        guard count >= limit, try await !index.list(filter, limit: 1, after: after).isEmpty else { return (count, nil) }
        return (count, after)
    }

    private func place(of letter: DeadLetter) -> TopicPartition {
        TopicPartition(place.namespace.topic(letter.family.deadLetters), letter.partition)
    }

    private func write(_ indexed: IndexedLetter, _ record: Record?, _ reader: RecordReader) async throws {
        let letter = indexed.letter
        var whole: WholeLetter?
        if let record { whole = try await reader.whole(record, of: letter, place.namespace) }
        let value = whole?.value
        let isGone = whole.map { $0.lacksBody && $0.source == nil } ?? true
        let view = BodyView(value, personal: place.catalog?[letter.family.source]?.pii, unmasked: isUnmasked)
        var writer = JSONWriter()
        writer.object { json in
            indexed.write(to: &json)
            (whole?.headers ?? []).write(to: &json)
            if let whole, whole.lacksHeaders, whole.source == nil { json.member("headers_gone", true) }
            if isGone {
                json.member("body_gone", true)
            } else if case .binary = view, let value {
                json.member("body_base64", Base64.encode(value))
            } else {
                view.write(to: &json)
            }
        }
        try Output.put(writer.text, to: output)
    }
}
