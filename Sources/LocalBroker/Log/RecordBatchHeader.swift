/// Why an append was refused; the raw value is the error code that Kafka's protocol has for it.
///
/// There is no case for an unknown producer: its first batch is accepted at any sequence (see `ProducerStates`).
enum AppendFault: Int16, Error {
    /// Length or checksum are not those of the bytes.
    case corrupt = 2
    /// A batch is larger than the topic takes.
    case tooLarge = 10
    /// Message formats 0 and 1, which no client of the last years sends.
    case unsupportedForMessageFormat = 43
    /// Batches of this producer before this one are missing.
    case outOfOrderSequence = 45
    /// A newer instance of this producer has written.
    case invalidProducerEpoch = 47
    /// The disk is full or failing, or the partition is offline.
    case storage = 56
    /// The header contradicts itself, or asks for what this log does not do.
    case invalidRecord = 87
}

/// The fixed head of a record batch (message format 2), decoded.
///
/// Everything after it stays opaque. Two of its fields, base offset and leader epoch, are outside the checksum, so that
/// a broker can set them in the buffer that the batch arrived in.
struct RecordBatchHeader {
    static let bytes = 61
    /// Base offset and length come before what the length counts.
    private static let uncounted = 12
    /// What the checksum covers begins here.
    static let checkedFrom = 21
    private static let lengthAt = 8
    private static let leaderEpochAt = 12
    private static let magicAt = 16

    let baseOffset: Int64
    let totalBytes: Int
    let magic: Int8
    let checksum: UInt32
    let attributes: Int16
    let lastOffsetDelta: Int32
    let baseTimestamp: Int64
    let maxTimestamp: Int64
    let producerID: Int64
    let producerEpoch: Int16
    let baseSequence: Int32
    let recordCount: Int32

    /// Decodes the first 61 bytes, which must be there, and judges nothing.
    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe baseOffset = bytes.integer(at: 0)
        unsafe totalBytes = Int(bytes.integer(at: Self.lengthAt, as: Int32.self)) + Self.uncounted
        unsafe magic = bytes.integer(at: Self.magicAt)
        unsafe checksum = bytes.integer(at: 17)
        unsafe attributes = bytes.integer(at: Self.checkedFrom)
        unsafe lastOffsetDelta = bytes.integer(at: 23)
        unsafe baseTimestamp = bytes.integer(at: 27)
        unsafe maxTimestamp = bytes.integer(at: 35)
        unsafe producerID = bytes.integer(at: 43)
        unsafe producerEpoch = bytes.integer(at: 51)
        unsafe baseSequence = bytes.integer(at: 53)
        unsafe recordCount = bytes.integer(at: 57)
    }

    var compression: Int16 { attributes & 0x07 }
    var hasAppendTime: Bool { attributes & 0x08 != 0 }
    var isTransactional: Bool { attributes & 0x10 != 0 }
    var isControl: Bool { attributes & 0x20 != 0 }
    var isIdempotent: Bool { producerID >= 0 }

    /// Wraps for bytes that were not validated; the log's own offsets are far from the edge.
    var lastOffset: Int64 { baseOffset &+ Int64(lastOffsetDelta) }

    /// Sequences count from 0 to Int32.max and start over.
    var lastSequence: Int32 { (baseSequence &+ lastOffsetDelta) & Int32.max }

    /// What holds for every batch in a log: it can be walked over, and its counts agree.
    var isWellFormed: Bool {
        magic == 2 && totalBytes >= Self.bytes && lastOffsetDelta >= 0 && recordCount > 0
            && lastOffsetDelta == recordCount - 1 && compression <= 4 && !isControl && !isTransactional
    }

    /// The header of the batch that `bytes` starts with, if a client may append it.
    static func validated(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(AppendFault) -> RecordBatchHeader {
        // Before the length: the old formats have their magic at the same place, and are shorter.
        guard bytes.count > magicAt else { throw .corrupt }
        let magic: Int8 = unsafe bytes.integer(at: magicAt)
        guard magic == 2 else { throw magic < 2 && magic >= 0 ? .unsupportedForMessageFormat : .corrupt }
        guard bytes.count >= Self.bytes else { throw .corrupt }
        let header = unsafe RecordBatchHeader(bytes)
        guard header.totalBytes >= Self.bytes, header.totalBytes <= bytes.count else { throw .corrupt }
        guard header.totalBytes <= limit else { throw .tooLarge }
        let checked = unsafe UnsafeRawBufferPointer(rebasing: bytes[checkedFrom..<header.totalBytes])
        guard unsafe checked.checksum() == header.checksum else { throw .corrupt }
        guard header.isWellFormed, !header.hasAppendTime else { throw .invalidRecord }
        if header.isIdempotent {
            guard header.producerEpoch >= 0, header.baseSequence >= 0 else { throw .invalidRecord }
        }
        return header
    }

    /// Gives the batch at the start of `bytes` its place in the log.
    static func place(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int64) {
        unsafe bytes.storeBytes(of: offset.bigEndian, toByteOffset: 0, as: Int64.self)
        // One broker is always the leader, and always in its first term.
        unsafe bytes.storeBytes(of: 0, toByteOffset: leaderEpochAt, as: Int32.self)
    }
}
