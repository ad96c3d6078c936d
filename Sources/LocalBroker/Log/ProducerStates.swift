// What the log remembers of idempotent producers, so that a batch sent again is stored once.
//
// The rules are Kafka's, because its clients rely on each of them:
// - Of the current epoch the last five batches are kept, as a client has at most five requests under way. A batch with
//   the same first and last sequence as one of them is that batch: the answer is its offset.
// - Otherwise a batch must start with the sequence after the last one. A gap means that an earlier batch is still to
//   come, or lost; the client sorts that out.
// - An older epoch belongs to an instance that was replaced. A newer one must start from sequence 0, else its beginning
//   is missing.
// - A producer that is not known may start anywhere: its state may have expired while it was idle, and refusing
//   it would stop a client that did nothing wrong.
// - What follows a batch that the disk has refused is refused for that reason too, until that batch is there: Kafka takes
//   a log offline whose disk fails, so none of its clients expects to hear of a gap then. librdkafka before 2.3 ends a
//   producer for good that hears of one after its connection has ended.
//
// Bounded: a producer is forgotten after a day without a batch, and the longest idle ones when there are too many.

/// The idempotent producers of one partition.
struct ProducerStates {
    /// A batch as it is recognised when it comes again.
    struct Batch: Equatable {
        var firstSequence: Int32 = 0
        var lastSequence: Int32 = 0
        var baseOffset: Int64 = 0
        var lastOffset: Int64 = 0
    }

    struct Producer {
        var epoch: Int16
        var lastUsed: Int64
        /// The last batches, oldest first; those past `count` mean nothing.
        var recent = [5 of Batch](repeating: Batch())
        var count = 0

        mutating func append(_ batch: Batch) {
            if count == recent.count {
                for index in 1..<recent.count { recent[index - 1] = recent[index] }
                count -= 1
            }
            recent[count] = batch
            count += 1
        }
    }

    enum Verdict: Equatable {
        case next
        case duplicate(Batch)
    }

    static let idleLimit: Int64 = 24 * 3_600_000
    static let largestCount = 10_000

    private(set) var producers: [Int64: Producer] = [:]
    /// The first batch of each producer that the disk has refused and that has not come again since.
    private var refused: [Int64: (epoch: Int16, sequence: Int32)] = [:]

    init() {}

    /// Whether an idempotent batch is the next one of its producer or one that is in the log.
    func judge(_ header: RecordBatchHeader) throws(AppendFault) -> Verdict {
        guard let known = producers[header.producerID], known.count > 0 else {
            if isBehindRefused(header) { throw .storage }
            return .next
        }
        guard header.producerEpoch >= known.epoch else { throw .invalidProducerEpoch }
        if header.producerEpoch > known.epoch {
            if isBehindRefused(header) { throw .storage }
            guard header.baseSequence == 0 else { throw .outOfOrderSequence }
            return .next
        }
        for index in 0..<known.count {
            let batch = known.recent[index]
            if batch.firstSequence == header.baseSequence, batch.lastSequence == header.lastSequence {
                return .duplicate(batch)
            }
        }
        if isBehindRefused(header) { throw .storage }
        let last = known.recent[known.count - 1].lastSequence
        guard header.baseSequence == (last &+ 1) & Int32.max else { throw .outOfOrderSequence }
        return .next
    }

    private func isBehindRefused(_ header: RecordBatchHeader) -> Bool {
        guard let refused = refused[header.producerID], refused.epoch == header.producerEpoch else { return false }
        return refused.sequence != header.baseSequence
    }

    /// The disk did not take a batch that was its producer's next one.
    mutating func noteRefusal(_ header: RecordBatchHeader) {
        if let known = refused[header.producerID], known.epoch == header.producerEpoch { return }
        if refused.count >= Self.largestCount { refused = [:] }
        refused[header.producerID] = (header.producerEpoch, header.baseSequence)
    }

    /// Takes up a batch that is in the log now.
    mutating func note(_ header: RecordBatchHeader, now: Int64) {
        refused[header.producerID] = nil
        let batch = Batch(
            firstSequence: header.baseSequence, lastSequence: header.lastSequence,
            baseOffset: header.baseOffset, lastOffset: header.lastOffset)
        let fresh = Producer(epoch: header.producerEpoch, lastUsed: now)
        if producers[header.producerID]?.epoch != header.producerEpoch {
            if producers[header.producerID] == nil { makeRoom() }
            producers[header.producerID] = fresh
        }
        producers[header.producerID, default: fresh].append(batch)
        producers[header.producerID, default: fresh].lastUsed = now
    }

    /// Forgets who was idle for a day.
    mutating func expire(now: Int64) {
        let limit = now - Self.idleLimit
        guard producers.contains(where: { $0.value.lastUsed < limit }) else { return }
        producers = producers.filter { $0.value.lastUsed >= limit }
    }

    /// Forgets a tenth, the longest idle, when full: so the search for them is rare.
    private mutating func makeRoom() {
        guard producers.count >= Self.largestCount else { return }
        let byIdleness = producers.sorted { ($0.value.lastUsed, $0.key) < ($1.value.lastUsed, $1.key) }
        for (id, _) in byIdleness.prefix(Self.largestCount / 10) { producers[id] = nil }
    }
}

extension ProducerStates {
    /// The snapshot that a sealed segment's index file carries.
    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 4 + producers.count * 139)
        writer.put(UInt32(producers.count))
        for (id, producer) in producers {
            writer.put(id)
            writer.put(producer.epoch)
            writer.put(producer.lastUsed)
            writer.put(UInt8(producer.count))
            for index in 0..<producer.count {
                let batch = producer.recent[index]
                writer.put(batch.firstSequence)
                writer.put(batch.lastSequence)
                writer.put(batch.baseOffset)
                writer.put(batch.lastOffset)
            }
        }
        return writer.bytes
    }

    /// The states in a snapshot; nil when the bytes are not one.
    init?(_ reader: inout ByteReader) {
        guard let count = reader.take(UInt32.self) else { return nil }
        for _ in 0..<count {
            guard let id = reader.take(Int64.self), let epoch = reader.take(Int16.self),
                let lastUsed = reader.take(Int64.self), let batches = reader.take(UInt8.self)
            else { return nil }
            var producer = Producer(epoch: epoch, lastUsed: lastUsed)
            guard Int(batches) <= producer.recent.count else { return nil }
            for _ in 0..<batches {
                guard let first = reader.take(Int32.self), let last = reader.take(Int32.self),
                    let baseOffset = reader.take(Int64.self), let lastOffset = reader.take(Int64.self)
                else { return nil }
                producer.append(
                    Batch(firstSequence: first, lastSequence: last, baseOffset: baseOffset, lastOffset: lastOffset))
            }
            producers[id] = producer
        }
    }
}
