package import Contracts
internal import Flotilla
package import JSON
internal import Kafka
package import Model
internal import Platform

/// All that is shown of one dead letter.
package struct LetterPage: Sendable, Told {
    package let indexed: IndexedLetter
    package let headers: [Header]
    package let headersNote: String?
    package let story: [StoryLine]
    package let body: BodyView
    package let bodyNote: String?
    package let bodyBytes: Int

    /// `rounds`: what the index knows of its replays. `topics`: all of the broker's. `catalog`: nil when there are no
    /// topic files, and then nobody knows what is personal. `limit`: no more of the body is wanted than so many bytes.
    package init(
        _ indexed: IndexedLetter, _ rounds: [StoryLine], _ namespace: Namespace, _ catalog: TopicCatalog?,
        topics: Set<TopicName>, _ reader: RecordReader, isUnmasked: Bool, limit: Int = .max
    ) async throws {
        self.indexed = indexed
        let letter = indexed.letter
        let topic = namespace.topic(letter.family.deadLetters)
        let there =
            topics.contains(topic)
            ? try await reader.read(letter.offset, of: TopicPartition(topic, letter.partition)) : nil
        let record = there.flatMap { letter.isIn($0) ? $0 : nil }
        let whole: WholeLetter?
        if let record { whole = try await reader.whole(record, of: letter, namespace) } else { whole = nil }
        headers = whole?.headers ?? []
        let value = whole?.value
        let note: String?
        if let whole {
            note = whole.lacksBody ? Self.note("it", whole, letter) : nil
            headersNote = whole.lacksHeaders ? Self.note("what is large of them", whole, letter) : nil
        } else {
            (note, headersNote) = ("gone: the retention of \(topic) has deleted it", nil)
        }
        (bodyNote, bodyBytes) = (note, value?.count ?? 0)
        let personal = catalog?[letter.family.source]?.pii
        body = BodyView(value, personal: personal, unmasked: isUnmasked, limit: limit)
        var lines = [StoryLine(letter.firstFailed, "failed for the first time")]
        do { lines += try await reader.attempts(of: letter, namespace, topics: topics) } catch {
            lines.append(StoryLine(letter.firstFailed, "its attempts could not be looked for: \(error)"))
        }
        let attempts = "\(letter.attempts) \(letter.attempts == 1 ? "attempt" : "attempts")"
        let worker = record?.lastHeader(HeaderName.dlqWorker).flatMap { $0 }
            .map { ErrorText.line(String(decoding: $0.prefix(256), as: UTF8.self), bytes: 256) }
        lines.append(
            StoryLine(
                letter.at,
                "dead letter, \(letter.reason), after \(attempts) in \(Self.span(letter.firstFailed, letter.at))"
                    + "\(worker.map { ", the last by worker \($0)" } ?? ""): \(letter.errorMessage)"))
        lines += rounds
        story = lines.sorted { $0.at < $1.at }
    }

    private static func note(_ what: String, _ whole: WholeLetter, _ letter: DeadLetter) -> String {
        "\(what) did not fit into the dead letter"
            + (whole.source == nil
                ? ", and is no more in \(letter.source.topic)" : "; this is from \(letter.source.topic)")
    }

    static func span(_ first: Timestamp, _ last: Timestamp) -> String {
        let milliseconds = max(0, last.milliseconds - first.milliseconds)
        return Duration.milliseconds(milliseconds > 10_000 ? milliseconds / 1000 * 1000 : milliseconds).text
    }

    package func header(_ name: String) -> String? { headers.last { $0.name == name }?.text }

    package func write(to json: inout JSONWriter) {
        indexed.write(to: &json)
        headers.write(to: &json)
        if let headersNote { json.member("headers_note", headersNote) }
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
}

extension StoryLine {
    fileprivate init(_ at: Timestamp, _ what: String) { self.init(at: at, what: what) }
}

extension Header {
    /// Its text, or its bytes in base 64.
    package var shown: String { value.map { text ?? "base64:" + Base64.encode($0) } ?? "" }
}

extension [Header] {
    /// As the member `headers`. A name that occurs more than once has a list of its values.
    package func write(to json: inout JSONWriter) {
        json.object("headers", grouping: map { ($0.name, $0.shown) })
    }
}

extension BodyView {
    /// As the members `body`, or what stands for it.
    package func write(to json: inout JSONWriter) {
        switch self {
        case .json(let text):
            json.name("body")
            // On one line: no string of it has a line break that is not escaped.
            json.append(json: text.split(separator: "\n").map { $0.drop { $0 == " " } }.joined().utf8)
        case .text(let text): json.member("body", text)
        case .binary(let dump, let count):
            json.member("body_hex", dump)
            json.member("body_bytes", count)
        case .hidden(let why): json.member("body_hidden", why.description)
        case .none:
            json.name("body")
            json.appendNull()
        }
    }
}
