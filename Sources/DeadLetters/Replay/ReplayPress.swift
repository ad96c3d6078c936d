internal import Flotilla
internal import Kafka
internal import Model
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
    /// A rewind came to a dead letter whose copy is gone: nobody has handled the record, so it is no repeat.
    let hasDied: Bool
    /// No offset of it in its target is lower; nil when nothing was sent.
    let sentFrom: Offset?

    /// Of a row that has what an item says of itself beside the entry.
    init(_ row: PostgresRow) throws(PostgresFault) {
        number = try row.value("number")
        round = try row.value("round")
        sentFrom = try row.optional("sent_from", as: Int64.self).map { Offset($0) }
        guard let offset: Int64 = try row.optional("item_offset") else {
            (isRewound, hasDied) = (false, true)
            letter = try IndexedLetter(row).letter
            return
        }
        (isRewound, hasDied) = (true, try row.value("died"))
        let family = TopicFamily(
            TopicName(try row.value("item_topic", as: String.self)),
            HandlerName(try row.value("item_handler", as: String.self)))
        letter = DeadLetter(rewinding: family, Partition(try row.value("item_partition")), Offset(offset))
    }

    init(rewinding letter: DeadLetter, number: Int64, round: Int64, hasDied: Bool) {
        (self.number, self.round, self.letter) = (number, round, letter)
        (isRewound, self.hasDied, sentFrom) = (true, hasDied, nil)
    }

    /// What these are selected by, from `items i`.
    static let columns: SQL = """
        i.job AS item_job, i.number, i.replays AS round, i.sent_from, i.topic AS item_topic, i.handler AS item_handler,
        i.partition AS item_partition, i.record_offset AS item_offset, i.died, e.*
        """
    static let join: SQL = "LEFT JOIN entries e ON e.id = i.entry"
    /// An entry that is forgotten cannot be replayed.
    static let isThere: SQL = "(e.id IS NOT NULL OR i.record_offset IS NOT NULL)"

    /// Where it is read.
    func place(_ namespace: Namespace) -> TopicPartition {
        TopicPartition(
            namespace.topic(isRewound ? letter.family.source : letter.family.deadLetters), letter.partition)
    }

    /// Those of the beginning that are read from one place and go to one place, as they are read and published together.
    static func together(_ items: [ReplayItem]) -> [ReplayItem] {
        guard let first = items.first?.letter else { return [] }
        return Array(
            items.prefix {
                $0.letter.family == first.family && $0.letter.partition == first.partition
                    && $0.letter.source.partition == first.source.partition
            })
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
    /// Once so much is to be sent, the rest waits for its turn.
    private static let mostBytes = 16 << 20
    /// What a producer makes one batch of.
    private static let pieceBytes = 900_000

    private var namespace: Namespace { follower.namespace }

    /// What became of some that were to be published.
    struct Outcome: Sendable {
        var published: [ReplayItem] = []
        /// Where they are in their target, by their number, when the log has said so.
        var offsets: [Int64: Offset] = [:]
        /// Their bodies are nowhere any more.
        var gone: [(ReplayItem, String)] = []
        /// These alone cannot be published: they are open as before, and the job goes on without them.
        var refused: [(ReplayItem, String)] = []
        /// Surely not published: to be chosen again.
        var left: [ReplayItem] = []
        /// Why nothing more of the job can be published.
        var fault: String?

        var isEmpty: Bool { published.isEmpty && gone.isEmpty && refused.isEmpty && left.isEmpty }
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

    /// What the log says of a target.
    enum Target: Sendable {
        case ends(Offset)
        /// What becomes of items that were to go there.
        case isMissing(Outcome)
    }

    func look(at target: TopicPartition, for items: [ReplayItem]) async throws -> Target {
        do {
            let end = try await reader.range(of: target).high
            ends.withLock { $0[target] = (end, Time.monotonicMilliseconds) }
            return .ends(end)
        } catch {
            guard try await reader.isGone(target, error) else { throw error }
            guard try await reader.partitions(of: target.topic).isEmpty else {
                // A stranger's record may name any partition.
                return .isMissing(
                    Outcome(refused: items.map { ($0, "\(target.topic) has no partition \(target.partition)") }))
            }
            return .isMissing(
                Outcome(left: items, fault: "there is no \(target) to publish to: flotilla topics apply makes it"))
        }
    }

    /// Those of them that are in their target already: somebody published them and could not note it.
    func published(_ items: [ReplayItem], _ job: ReplayJob) async throws -> Outcome {
        var outcome = Outcome()
        guard let first = items.first, let start = items.compactMap(\.sentFrom).min() else { return outcome }
        let target = first.target(job, namespace)
        let wanted = Dictionary(items.map { ("\($0.letter.id) \($0.round)", $0) }) { one, _ in one }
        do {
            try await reader.readAll([target], startingAt: [target: start]) { record in
                func text(_ name: String) -> String? {
                    record.lastHeader(name).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
                }
                guard text(HeaderName.dlqReplayJob) == job.id, let id = text(HeaderName.dlqID),
                    let round = text(HeaderName.dlqReplays), let item = wanted["\(id) \(round)"]
                else { return }
                outcome.published.append(item)
                outcome.offsets[item.number] = record.offset
            }
        } catch { guard try await reader.isGone(target, error) else { throw error } }
        return outcome
    }

    /// They are read from one place and go to one place. Throws when nobody knows whether they are published.
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
        var (sending, records, bytes): ([ReplayItem], [OutgoingRecord], Int) = ([], [], 0)
        for (number, item) in items.enumerated() {
            // What is read from sources is no part of what was read at once.
            if left.contains(item.letter.offset) || bytes >= Self.mostBytes {
                outcome.left = Array(items[number...])
                break
            }
            guard let record = found[item.letter.offset], item.isRewound || item.letter.isIn(record) else {
                outcome.gone.append((item, "its body is gone"))
                continue
            }
            var copy = record
            if !item.isRewound {
                let whole = try await reader.whole(record, of: item.letter, namespace)
                if let loss = whole.loss {
                    // Without headers it would be another record. It can still be looked at.
                    if whole.lacksBody {
                        outcome.gone.append((item, loss))
                    } else {
                        outcome.refused.append((item, loss))
                    }
                    continue
                }
                copy = whole.source ?? record
            }
            bytes += copy.byteCount
            sending.append(item)
            records.append(
                ReplayRecord.make(
                    of: item.letter, copy: copy, round: item.round, job: job.id, toSource: job.toSource,
                    isRewind: item.isRewound && !item.hasDied, namespace: namespace, now: Time.wallMilliseconds))
        }
        try await send(sending[...], records, &outcome)
        return outcome
    }

    /// A broker takes or refuses a batch, so they go in pieces that are one, and of a piece that is too large each goes
    /// alone before the next: what can be published is, and in its order.
    private func send(
        _ items: ArraySlice<ReplayItem>, _ records: [OutgoingRecord], _ outcome: inout Outcome
    ) async throws {
        var next = items.startIndex
        while next < items.endIndex {
            guard outcome.fault == nil else {
                outcome.left += items[next...]
                return
            }
            var (past, bytes) = (next, 0)
            repeat {
                bytes += records[past].wireBytes
                past += 1
            } while past < items.endIndex && bytes + records[past].wireBytes <= Self.pieceBytes
            let report = try await producer.send(OutgoingBatch(Array(records[next..<past])))
            for (number, result) in zip(next..<past, report) {
                let item = items[number]
                switch result {
                case .success(let delivery):
                    outcome.published.append(item)
                    outcome.offsets[item.number] = delivery.offset
                case .failure(let fault):
                    switch Self.consequence(of: fault) {
                    case .ofItem where past - next > 1: try await send(items[number...number], records, &outcome)
                    case .ofItem: outcome.refused.append((item, "cannot publish: \(fault)"))
                    case .ofJob:
                        outcome.left.append(item)
                        outcome.fault = "cannot publish: \(fault)"
                    case .unknown: throw fault
                    }
                }
            }
            next = past
        }
    }

    private enum Consequence { case ofItem, ofJob, unknown }

    /// Whether the record is surely not in the log, and whether another one could get there.
    private static func consequence(of fault: KafkaFault) -> Consequence {
        switch fault.kind {
        case .tooLarge, .unknownPartition, .invalid: .ofItem
        case .unknownTopic, .denied: .ofJob
        case _: .unknown
        }
    }
}
