import Platform
import Synchronization

@testable import LocalBroker

/// What names a batch in tests that write many: who wrote it, and as which of its batches. Producer id and sequence say so
/// in the batch's head, so nobody need look into the records.
struct BatchID: Hashable, Comparable, CustomStringConvertible {
    var producer: Int64
    var sequence: Int32

    var description: String { "\(producer)#\(sequence)" }

    static func < (left: BatchID, right: BatchID) -> Bool {
        (left.producer, left.sequence) < (right.producer, right.sequence)
    }
}

/// Batches of one record, made quickly: the bytes of a size are built once, and only the head is stamped anew.
enum TestBatch {
    private static let templates = Mutex<[Int: [UInt8]]>([:])

    /// A batch with a value of `valueBytes`, of the present time.
    static func bytes(_ id: BatchID, valueBytes: Int) -> [UInt8] {
        var batch = templates.withLock { templates in
            if let known = templates[valueBytes] { return known }
            let made = RecordBatchBuilder(count: 1, valueBytes: valueBytes, timestamp: Time.wallMilliseconds).bytes()
            templates[valueBytes] = made
            return made
        }
        batch.replaceSubrange(43..<51, with: RecordBatchBuilder.integer(id.producer))
        batch.replaceSubrange(51..<53, with: RecordBatchBuilder.integer(Int16(0)))
        batch.replaceSubrange(53..<57, with: RecordBatchBuilder.integer(id.sequence))
        // The builder's own checksum takes milliseconds for a large batch; it is held against this one elsewhere.
        let checksum = unsafe batch.withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[21...]).checksum() }
        batch.replaceSubrange(17..<21, with: RecordBatchBuilder.integer(checksum))
        return batch
    }

    /// A batch as it came back.
    struct Stored: Equatable {
        let offset: Int64
        let id: BatchID
    }

    /// The batches in what a fetch gave, each checked as the broker checks what a producer sends.
    static func stored(in records: [UInt8]) throws -> [Stored] {
        var stored: [Stored] = []
        var rest = records[...]
        while !rest.isEmpty {
            let header = try unsafe rest.withUnsafeBytes { unsafe try RecordBatchHeader.validated($0, limit: .max) }
            stored.append(
                Stored(
                    offset: header.baseOffset,
                    id: BatchID(producer: header.producerID, sequence: header.baseSequence)))
            rest = rest.dropFirst(header.totalBytes)
        }
        return stored
    }
}

extension RawClient {
    /// All batches of a partition, from its beginning to its end.
    func allBatches(_ topic: String, _ partition: Int32) throws -> [TestBatch.Stored] {
        var next = try offset(topic, partition, at: -2)
        let end = try offset(topic, partition, at: -1)
        var batches: [TestBatch.Stored] = []
        while next < end {
            guard let fetched = try fetch(topic, [(partition, next)]).first, fetched.error == 0,
                let last = try TestBatch.stored(in: fetched.records).last
            else { throw RawClientFault.shortAnswer }
            batches += try TestBatch.stored(in: fetched.records)
            next = last.offset + 1
        }
        return batches
    }
}
