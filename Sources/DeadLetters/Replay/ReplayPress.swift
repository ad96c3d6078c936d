internal import Flotilla
internal import Kafka
package import Model
internal import Platform
internal import Postgres
internal import Synchronization

/// One of what a job replays.
struct ReplayItem: Sendable {
    let number: Int64
    /// Which time it is replayed.
    let round: Int64
    /// Of a rewind only what a record says of itself by its place.
    let letter: DeadLetter
    let isRewound: Bool
    /// No offset of it in its target is lower; nil when nothing was sent.
    let sentFrom: Offset?

    /// Of a row that has what an item says of itself beside the entry.
    init(_ row: PostgresRow) throws(PostgresFault) {
        number = try row.value("number")
        round = try row.value("round")
        sentFrom = try row.optional("sent_from", as: Int64.self).map { Offset($0) }
        guard let offset: Int64 = try row.optional("item_offset") else {
            isRewound = false
            letter = try IndexedLetter(row).letter
            return
        }
        isRewound = true
        let family = TopicFamily(
            TopicName(try row.value("item_topic", as: String.self)),
            HandlerName(try row.value("item_handler", as: String.self)))
        letter = DeadLetter(rewinding: family, Partition(try row.value("item_partition")), Offset(offset))
    }

    init(rewinding letter: DeadLetter, number: Int64, round: Int64) {
        (self.number, self.round, self.letter) = (number, round, letter)
        (isRewound, sentFrom) = (true, nil)
    }

    /// What these are selected by, from `items i`.
    static let columns: SQL = """
        i.job AS item_job, i.number, i.replays AS round, i.sent_from, i.topic AS item_topic, i.handler AS item_handler,
        i.partition AS item_partition, i.record_offset AS item_offset, e.*
        """
    static let join: SQL = "LEFT JOIN entries e ON e.id = i.entry"
    /// An entry that is forgotten cannot be replayed.
    static let isThere: SQL = "(e.id IS NOT NULL OR i.record_offset IS NOT NULL)"

    /// Where it is read.
    func place(_ namespace: Namespace) -> TopicPartition {
        TopicPartition(
            namespace.topic(isRewound ? letter.family.source : letter.family.deadLetters), letter.partition)
    }

    /// Where it goes to.
    func target(_ job: ReplayJob, _ namespace: Namespace) -> TopicPartition {
        TopicPartition(
            ReplayRecord.target(of: letter, toSource: job.toSource, namespace), letter.source.partition)
    }
}

extension DeadLetter {
    /// A stand-in for a record that did not die.
    init(rewinding family: TopicFamily, _ partition: Partition, _ offset: Offset) {
        let source = SourceCoordinates(topic: family.source, partition: partition, offset: offset)
        let never = Timestamp(milliseconds: 0)
        self.init(
            id: source.deadLetterID(for: family.handler), family: family, partition: partition, offset: offset,
            source: source, reason: "", fingerprint: "", errorType: "", errorMessage: "", stage: "", type: "",
            eventID: "", eventSource: "", key: nil, attempts: 0, firstFailed: never, at: never, copiedAt: never,
            copyReplays: 0, isShed: false)
    }
}

/// Publishes dead letters anew: reads each from where it lies, and waits for the log.
final class ReplayPress: Sendable {
    let follower: DeadLetterFollower
    let producer: Producer
    let reader: RecordReader
    /// Where targets ended when they were last looked at, and when that was: nothing that is sent later is lower.
    private let ends = Mutex<[TopicPartition: (end: Offset, at: Int64)]>([:])
    /// After so many milliseconds it is looked whether the target is still there: a producer would have it made anew.
    private static let trust: Int64 = 1000

    private var namespace: Namespace { follower.namespace }

    /// What became of some that were to be published.
    struct Outcome: Sendable {
        var published: [ReplayItem] = []
        /// Their bodies are nowhere any more.
        var gone: [(ReplayItem, String)] = []
        /// Surely not published: to be chosen again.
        var left: [ReplayItem] = []
        /// Why nothing more of the job can be published.
        var fault: String?
    }

    init(_ follower: DeadLetterFollower, _ producer: Producer, _ reader: RecordReader) {
        self.follower = follower
        self.producer = producer
        self.reader = reader
    }

    /// Where a target ended not long ago, when that is known.
    func knownEnd(of target: TopicPartition) -> Offset? {
        ends.withLock { ends in
            ends[target].flatMap { Time.monotonicMilliseconds - $0.at < Self.trust ? $0.end : nil }
        }
    }

    /// Asks the log. Nil when there is no such topic, or not this partition of it.
    func end(of target: TopicPartition) async throws -> Offset? {
        do {
            let end = try await reader.range(of: target).high
            ends.withLock { $0[target] = (end, Time.monotonicMilliseconds) }
            return end
        } catch let fault as KafkaFault where fault.kind == .unknownTopic || fault.kind == .unknownPartition {
            return nil
        }
    }

    /// What becomes of items whose target is not there.
    func noTarget(_ items: [ReplayItem], _ target: TopicPartition) -> Outcome {
        Outcome(left: items, fault: "there is no \(target) to publish to: flotilla topics apply makes it")
    }

    /// Those of them that are in their target already: somebody published them and could not note it.
    func published(_ items: [ReplayItem], _ job: ReplayJob) async throws -> [ReplayItem] {
        guard let first = items.first, let start = items.compactMap(\.sentFrom).min() else { return [] }
        let target = first.target(job, namespace)
        let wanted = Dictionary(items.map { ("\($0.letter.id) \($0.round)", $0) }) { one, _ in one }
        var found: [ReplayItem] = []
        do {
            try await reader.readAll([target], startingAt: [target: start]) { record in
                func text(_ name: String) -> String? {
                    record.lastHeader(name).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
                }
                guard text(HeaderName.dlqReplayJob) == job.id, let id = text(HeaderName.dlqID),
                    let round = text(HeaderName.dlqReplays), let item = wanted["\(id) \(round)"]
                else { return }
                found.append(item)
            }
        } catch let fault as KafkaFault where fault.kind == .unknownTopic || fault.kind == .unknownPartition {}
        return found
    }

    /// They are of one family and one partition. Throws when nobody knows whether they are published.
    func publish(_ items: [ReplayItem], _ job: ReplayJob) async throws -> Outcome {
        var outcome = Outcome()
        guard let first = items.first else { return outcome }
        let place = first.place(namespace)
        var (found, left) = try await reader.read(Set(items.map(\.letter.offset)), of: place)
        if left.contains(first.letter.offset) {
            // The first lies behind more than is read at once, and something has to go on.
            (found, left) = try await reader.read([first.letter.offset], of: place)
            left = Set(items.dropFirst().map(\.letter.offset))
        }
        var (sending, records): ([ReplayItem], [OutgoingRecord]) = ([], [])
        for (number, item) in items.enumerated() {
            if left.contains(item.letter.offset) {
                outcome.left = Array(items[number...])
                break
            }
            guard let record = found[item.letter.offset], item.isRewound || item.letter.isIn(record),
                let copy = try await whole(record, item.letter)
            else {
                outcome.gone.append((item, "its body is gone"))
                continue
            }
            sending.append(item)
            records.append(
                ReplayRecord.make(
                    of: item.letter, copy: copy, round: item.round, job: job.id, toSource: job.toSource,
                    isRewind: item.isRewound, namespace: namespace, now: Time.wallMilliseconds))
        }
        guard !records.isEmpty else { return outcome }
        let report = try await producer.send(OutgoingBatch(records))
        for (item, result) in zip(sending, report) {
            switch result {
            case .success: outcome.published.append(item)
            case .failure(let fault):
                guard Self.isSure(fault) else { throw fault }
                outcome.left.append(item)
                outcome.fault = "cannot publish: \(fault)"
            }
        }
        return outcome
    }

    /// Whether the record is surely not in the log, and will not get there.
    private static func isSure(_ fault: KafkaFault) -> Bool {
        switch fault.kind {
        case .unknownTopic, .unknownPartition, .tooLarge, .denied, .invalid: true
        case _: false
        }
    }

    /// The record with its body: from its source, when it did not fit into the dead letter.
    private func whole(_ record: Record, _ letter: DeadLetter) async throws -> Record? {
        guard letter.isShed else { return record }
        return try await reader.shedBody(of: record, letter, namespace)
    }
}

extension RecordReader {
    /// The record that a dead letter without its body was made of; nil when it is no more there, or is another one.
    package func shedBody(of record: Record, _ letter: DeadLetter, _ namespace: Namespace) async throws -> Record? {
        let place = TopicPartition(namespace.topic(letter.source.topic), letter.source.partition)
        guard let source = try await read(letter.source.offset, of: place), let body = source.valueBytes else {
            return nil
        }
        let digest = record.lastHeader(HeaderName.dlqBodySHA256).flatMap { $0 }
        guard digest == Array(unsafe Digest.sha256(body.span.bytes).hex().utf8) else { return nil }
        return source
    }
}
