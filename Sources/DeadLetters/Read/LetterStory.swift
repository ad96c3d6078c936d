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
    /// broker's.
    package func attempts(
        of letter: DeadLetter, _ namespace: Namespace, topics: Set<TopicName>
    ) async throws -> [StoryLine] {
        let prefix = namespace.topic(letter.family.retry("")).rawValue
        let names = topics.filter { $0.rawValue.hasPrefix(prefix) }
        guard !names.isEmpty else { return [] }
        let wanted = (Array("\(letter.source.partition)".utf8), Array("\(letter.source.offset)".utf8))
        var found: [StoryLine] = []
        var read = 0
        let places = names.map { TopicPartition($0, letter.source.partition) }
        do {
            try await readAll(places, from: letter.firstFailed.milliseconds - 60_000) { record in
                read += 1
                guard read <= Self.mostRead else { throw Enough() }
                guard record.lastHeader(HeaderName.sourceOffset).flatMap({ $0 }) == wanted.1,
                    record.lastHeader(HeaderName.sourcePartition).flatMap({ $0 }) == wanted.0,
                    let at = record.timestamp
                else { return }
                func text(_ name: String) -> String {
                    record.lastHeader(name).flatMap { $0 }.map { String(decoding: $0.prefix(512), as: UTF8.self) }
                        ?? "?"
                }
                found.append(
                    StoryLine(
                        at: Timestamp(milliseconds: min(max(0, at), 253_402_300_799_999)),
                        what: "\(text(HeaderName.retryAttempt)) attempts, waits \(text(HeaderName.retryTier)): "
                            + text(HeaderName.retryErrorMessage)))
            }
        } catch is Enough {}
        return found.sorted { $0.at < $1.at }
    }

    private static let mostRead = 200_000

    private struct Enough: Error {}
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
