internal import Flotilla
internal import Kafka
package import Model
internal import Platform
internal import Postgres

/// One of what a job replays.
struct ReplayItem: Sendable {
    let number: Int64
    /// Which time it is replayed.
    let round: Int64
    let letter: DeadLetter

    /// Of a row that has the item's number and round beside the entry.
    init(_ row: PostgresRow) throws(PostgresFault) {
        number = try row.value("number")
        round = try row.value("round")
        letter = try IndexedLetter(row).letter
    }
}

/// Publishes dead letters anew: reads each from where it lies, and waits for the log.
struct ReplayPress: Sendable {
    let follower: DeadLetterFollower
    let producer: Producer
    let reader: RecordReader

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

    /// They are of one family and one partition. Throws when nobody knows whether they are published.
    func publish(_ items: [ReplayItem], _ job: ReplayJob) async throws -> Outcome {
        var outcome = Outcome()
        guard let first = items.first else { return outcome }
        let place = TopicPartition(namespace.topic(first.letter.family.deadLetters), first.letter.partition)
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
            guard let record = found[item.letter.offset], let copy = try await whole(record, item.letter) else {
                outcome.gone.append((item, "its body is gone"))
                continue
            }
            sending.append(item)
            records.append(
                ReplayRecord.make(
                    of: item.letter, copy: copy, round: item.round, job: job.id, toSource: job.toSource,
                    namespace: namespace, now: Time.wallMilliseconds))
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
        guard letter.source.offset >= 0 else { return nil }
        let place = TopicPartition(namespace.topic(letter.family.source), letter.source.partition)
        guard let source = try await read(letter.source.offset, of: place), let body = source.valueBytes else {
            return nil
        }
        let digest = record.lastHeader(HeaderName.dlqBodySHA256).flatMap { $0 }
        guard digest == Array(unsafe Digest.sha256(body.span.bytes).hex().utf8) else { return nil }
        return source
    }
}
