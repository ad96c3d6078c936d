internal import Flotilla
internal import Kafka
package import Model
package import Platform
internal import Postgres

/// What happened to a dead letter, and when.
package struct StoryLine: Sendable, Hashable {
    package let at: Timestamp
    package let what: String

    package init(at: Timestamp, what: String) {
        self.at = at
        self.what = what
    }
}

extension RecordReader {
    /// Its attempts as its copies in the retry topics tell them, as far as those are still there. `topics`: all of the
    /// broker's. Somebody waits for this, and in an outage those topics are full: it ends after a while, and says so.
    package func attempts(
        of letter: DeadLetter, _ namespace: Namespace, topics: Set<TopicName>, within span: Duration = .seconds(3),
        maxBytes: Int = 16 << 20
    ) async throws -> [StoryLine] {
        let prefix = namespace.topic(letter.family.retry("")).rawValue
        let names = topics.filter { $0.rawValue.hasPrefix(prefix) }
        guard !names.isEmpty else { return [] }
        let wanted = (Array("\(letter.source.partition)".utf8), Array("\(letter.source.offset)".utf8))
        var found: [RetryCopy] = []
        let places = names.map { TopicPartition($0, letter.source.partition) }
        let isWhole = try await readAll(
            places, from: max(0, letter.firstFailed.milliseconds - 60_000), within: span, maxBytes: maxBytes
        ) { record in
            guard record.lastHeader(HeaderName.sourceOffset).flatMap({ $0 }) == wanted.1,
                record.lastHeader(HeaderName.sourcePartition).flatMap({ $0 }) == wanted.0,
                let copy = RetryCopy(record, namespace)
            else { return }
            found.append(copy)
        }
        found.sort { ($0.at, $0.attempts) < ($1.at, $1.attempts) }
        var lines: [StoryLine] = []
        for (number, copy) in found.enumerated() {
            lines.append(copy.line(after: number > 0 ? found[number - 1] : nil, letter))
        }
        if !isWhole {
            lines.append(
                StoryLine(
                    at: letter.firstFailed,
                    what: "not all of its attempts were looked for: the retry topics have too much since then"))
        }
        return lines
    }
}

/// What a copy in a retry topic says of the attempts before it.
private struct RetryCopy {
    let at: Timestamp
    let attempts: Int
    private let topic: String
    private let due: Timestamp?
    private let tier: String
    private let worker: String?
    private let error: String

    init?(_ record: Record, _ namespace: Namespace) {
        func text(_ name: String) -> String? {
            record.lastHeader(name).flatMap { $0 }.map { String(decoding: $0.prefix(512), as: UTF8.self) }
        }
        guard let written = record.timestamp else { return nil }
        let last = text(HeaderName.retryLastFailed).flatMap { Timestamp(text: $0) }?.milliseconds
        at = Timestamp(milliseconds: min(max(0, last ?? written), 253_402_300_799_999))
        attempts = text(HeaderName.retryAttempt).flatMap { Int($0) }.map { min(max($0, 0), 1_000_000) } ?? 0
        due = text(HeaderName.retryDue).flatMap { Timestamp(text: $0) }
        (tier, worker) = (text(HeaderName.retryTier) ?? "?", text(HeaderName.retryWorker))
        error = [text(HeaderName.retryErrorType), text(HeaderName.retryErrorMessage)].compactMap { $0 }
            .joined(separator: ": ")
        topic = namespace.plain(record.topic)?.rawValue ?? record.topic.rawValue
    }

    /// Which attempts, where, by whom, how long from the first to the last of them, and what they died of. `before`: the
    /// copy that they were of; nil when that is the record itself.
    func line(after before: RetryCopy?, _ letter: DeadLetter) -> StoryLine {
        let first = (before?.attempts ?? 0) + 1
        let numbers = first < attempts ? "attempts \(first) to \(attempts)" : "attempt \(attempts)"
        let place = before?.topic ?? "\(letter.source.topic)/\(letter.source.partition)/\(letter.source.offset)"
        let since = before?.due ?? letter.firstFailed
        let by = worker.map { " by worker \($0)" } ?? ""
        let until = due.map { " until \($0)" } ?? ""
        return StoryLine(
            at: at,
            what: "\(numbers) in \(place)\(by), in \(LetterPage.span(since, at)): \(error); waits \(tier)\(until)")
    }
}

extension DeadLetterIndex {
    /// Its replays, and what became of them.
    package func rounds(of id: UUIDValue) async throws -> [StoryLine] {
        try await pool.transaction { transaction in
            let rows = try await transaction.query(
                """
                SELECT i.*, j.made_at, j.made_by, j.to_source FROM items i JOIN jobs j ON j.id = i.job WHERE i.entry = \(id)
                ORDER BY j.made_at LIMIT 100
                """)
            return try rows.flatMap { row -> [StoryLine] in
                let (job, made): (String, Timestamp) = (try row.value("job"), try row.value("made_at"))
                let who: String = try row.value("made_by")
                var lines = [StoryLine(at: made, what: "chosen for replay by \(who), job \(job)")]
                if let at: Timestamp = try row.optional("published_at") {
                    let round: Int64 = try row.value("replays")
                    let isToSource: Bool = try row.value("to_source")
                    lines.append(
                        StoryLine(at: at, what: "published \(isToSource ? "to its source" : "for replay \(round)")"))
                }
                if let outcome: String = try row.optional("outcome"), let at: Timestamp = try row.optional("outcome_at")
                {
                    lines.append(StoryLine(at: at, what: "ended: \(outcome)"))
                }
                return lines
            }
        }
    }
}
