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
    package let story: [StoryLine]
    package let body: BodyView
    package let bodyNote: String?
    package let bodyBytes: Int

    /// `rounds`: what the index knows of its replays. `topics`: all of the broker's. `catalog`: nil when there are no
    /// topic files, and then nobody knows what is personal.
    package init(
        _ indexed: IndexedLetter, _ rounds: [StoryLine], _ namespace: Namespace, _ catalog: TopicCatalog?,
        topics: Set<TopicName>, _ reader: RecordReader, isUnmasked: Bool
    ) async throws {
        self.indexed = indexed
        let letter = indexed.letter
        let topic = namespace.topic(letter.family.deadLetters)
        let there =
            topics.contains(topic)
            ? try await reader.read(letter.offset, of: TopicPartition(topic, letter.partition)) : nil
        let record = there.flatMap { letter.isIn($0) ? $0 : nil }
        headers = record?.headers ?? []
        var (value, note): ([UInt8]?, String?) = (record?.valueBytes, nil)
        if record == nil {
            note = "gone: the retention of \(topic) has deleted it"
        } else if letter.isShed, let record {
            let source = try await reader.shedBody(of: record, letter, namespace)
            value = source?.valueBytes
            note =
                source == nil
                ? "it did not fit into the dead letter, and is no more in \(letter.family.source)"
                : "it did not fit into the dead letter; this is from \(letter.family.source)"
        }
        (bodyNote, bodyBytes) = (note, value?.count ?? 0)
        let personal = catalog?[letter.family.source]?.pii
        body = BodyView(value, personal: personal, unmasked: isUnmasked)
        var lines = (try? await reader.attempts(of: letter, namespace, topics: topics)) ?? []
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

    package func header(_ name: String) -> String? { headers.last { $0.name == name }?.text }

    package func write(to json: inout JSONWriter) {
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
}

extension StoryLine {
    fileprivate init(_ at: Timestamp, _ what: String) { self.init(at: at, what: what) }
}

extension Header {
    /// Its text, or its bytes in base 64.
    package var shown: String { value.map { text ?? "base64:" + Base64.encode($0) } ?? "" }
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
        case .hidden(let why): json.member("body_hidden", why)
        case .none:
            json.name("body")
            json.appendNull()
        }
    }
}
