package import Flotilla
package import Model
package import Platform

/// What the index keeps of a dead letter: all but its body, which stays where it is.
///
/// Made of the headers that the runtime wrote. A record in a dead-letter topic that has none of them is a dead letter all
/// the same, named after its place; nothing that is missing or damaged keeps one out.
package struct DeadLetter: Sendable, Hashable {
    package var id: UUIDValue
    /// Which topic's record, and who could not handle it.
    package var family: TopicFamily
    /// Where its latest copy lies in the family's dead-letter topic.
    package var partition: Partition
    package var offset: Offset
    package var source: SourceCoordinates
    package var reason: String
    package var fingerprint: String
    package var errorType: String
    package var errorMessage: String
    package var stage: String
    /// `ce_type`, `ce_id`, `ce_source`; empty where there is none.
    package var type: String
    package var eventID: String
    package var eventSource: String
    package var key: String?
    package var attempts: Int
    package var firstFailed: Timestamp
    package var at: Timestamp
    /// When the copy was written: from then on its topic keeps it for as long as it keeps anything.
    package var copiedAt: Timestamp
    /// How often it had been replayed when this copy was written.
    package var copyReplays: Int64
    /// Whether its body or its large headers did not fit, and are to be read from the source.
    package var isShed: Bool
}

extension DeadLetter {
    /// The family that a topic is the dead letters of; nil for other topics.
    package static func family(of topic: TopicName, _ namespace: Namespace) -> TopicFamily? {
        guard let plain = namespace.plain(topic)?.rawValue, plain.hasSuffix(".dlq") else { return nil }
        let stem = plain.dropLast(4)
        guard let dot = stem.lastIndex(of: "."), dot != stem.startIndex, stem.index(after: dot) != stem.endIndex else {
            return nil
        }
        return TopicFamily(
            TopicName(String(stem[..<dot])), HandlerName(String(stem[stem.index(after: dot)...])))
    }

    /// Of a record of the family's dead-letter topic.
    package init(_ record: Record, of family: TopicFamily) {
        self.family = family
        (partition, offset) = (record.partition, record.offset)
        var found: [String: String] = [:]
        for index in 0..<record.headerCount {
            let name = record.headerName(at: index)
            guard HeaderName.isOurs(name) || name.hasPrefix("ce_"), let value = record.headerValue(at: index) else {
                continue
            }
            found[name] = ErrorText.line(String(decoding: value.copied.prefix(2048), as: UTF8.self), bytes: 1024)
        }
        func time(_ name: String) -> Timestamp? {
            found[name].flatMap(Timestamp.init(text:)).map { Timestamp(milliseconds: max(0, $0.milliseconds)) }
        }
        // What indexes are made of has its bounds there: one record of a stranger must not stop all the others.
        func word(_ name: String, bytes: Int) -> String? { found[name].map { ErrorText.line($0, bytes: bytes) } }
        let written = Self.written(record)
        copiedAt = written
        at = time(HeaderName.dlqAt) ?? written
        firstFailed = time(HeaderName.dlqFirstFailed) ?? at
        // One that does not say where it was first is known by where it lies. Its name follows from that; what a header
        // says it were could be another one's.
        source =
            SourceCoordinates(found, of: family)
            ?? SourceCoordinates(topic: family.deadLetters, partition: record.partition, offset: record.offset)
        id = source.deadLetterID(for: family.handler)
        reason = word(HeaderName.dlqReason, bytes: 64) ?? "unknown"
        errorType = found[HeaderName.dlqErrorType] ?? ""
        errorMessage = found[HeaderName.dlqMessage] ?? ""
        fingerprint =
            word(HeaderName.dlqFingerprint, bytes: 64)
            ?? FailureReport.fingerprint(family.handler, errorType, errorMessage)
        stage = word(HeaderName.dlqStage, bytes: 64) ?? ""
        (type, eventID) = (word("ce_type", bytes: 255) ?? "", found["ce_id"] ?? "")
        eventSource = found["ce_source"] ?? ""
        key = record.keyBytes.map { ErrorText.line(String(decoding: $0.prefix(1024), as: UTF8.self), bytes: 512) }
        attempts = found[HeaderName.dlqDeliveryCount].flatMap(Int.init).map { min(max($0, 0), 1_000_000) } ?? 0
        copyReplays = found[HeaderName.dlqReplays].flatMap(UInt32.init).map { Int64(min($0, 1_000_000_000)) } ?? 0
        isShed = found[HeaderName.dlqBody] == "omitted" || found[HeaderName.dlqHeaders] == "omitted"
    }

    /// When a record was written, as far as a date can say.
    static func written(_ record: Record) -> Timestamp {
        Timestamp(milliseconds: min(max(0, record.timestamp ?? 0), far))
    }

    /// Whether this is what lies there: topics are made anew, and then have other records at the same places.
    package func isIn(_ record: Record) -> Bool { DeadLetter(record, of: family).id == id }

    /// Whether a record of a dead-letter topic is of a fleet with a name, whose topics one without a name sees too.
    package static func isOfNamedFleet(_ record: Record, _ family: TopicFamily) -> Bool {
        guard let topic = record.lastHeader(HeaderName.sourceTopic).flatMap({ $0 }) else { return false }
        return family.source.rawValue.hasSuffix("." + String(decoding: topic.prefix(300), as: UTF8.self))
    }

    /// The last moment of the year 9999.
    private static let far: Int64 = 253_402_300_799_999
}

/// What a dead letter is in.
package enum DeadLetterState: String, Sendable, Hashable, CaseIterable {
    case open, replaying, replayed, resolved, discarded, expired
}

/// A dead letter with what the index knows beside it; the same without, when topics were read instead.
package struct IndexedLetter: Sendable {
    package var letter: DeadLetter
    /// Nil when only the topics were there to be read.
    package var state: DeadLetterState?
    package var stateAt: Timestamp?
    package var replays: Int64
    package var job: String?
    package var note: String

    package init(unindexed letter: DeadLetter) {
        self.letter = letter
        replays = letter.copyReplays
        note = ""
    }

    package init(
        _ letter: DeadLetter, state: DeadLetterState, stateAt: Timestamp, replays: Int64, job: String?, note: String
    ) {
        self.letter = letter
        self.state = state
        self.stateAt = stateAt
        self.replays = replays
        self.job = job
        self.note = note
    }
}
