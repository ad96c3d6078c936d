// Finds a record by time inside a batch: the only place where the broker looks behind a batch's header.

/// The records of one batch, read for their times alone.
enum RecordTimes {
    /// More than this is not decompressed.
    static let largestBody = 16 << 20

    enum Answer: Equatable {
        case found(delta: Int64, timestamp: Int64)
        /// No record is that late.
        case none
        /// The records cannot be read, or not far enough.
        case unreadable
    }

    /// The first record of a batch, at or after offset `start`, that is not earlier than `timestamp`.
    static func first(
        in body: [UInt8], of header: RecordBatchHeader, from start: Int64, notBefore timestamp: Int64,
        _ budget: LookupBudget
    ) -> Answer {
        guard let content = Decompression.expanded(body, codec: header.compression, limit: largestBody) else {
            return .unreadable
        }
        budget.spend(content.count)
        return unsafe content.withUnsafeBytes { bytes in
            var cursor = unsafe RecordCursor(bytes)
            for _ in 0..<header.recordCount {
                guard let record = cursor.next() else { return .unreadable }
                let time = header.hasAppendTime ? header.maxTimestamp : header.baseTimestamp &+ record.timestampDelta
                if time >= timestamp, header.baseOffset &+ record.offsetDelta >= start {
                    return .found(delta: record.offsetDelta, timestamp: time)
                }
            }
            return .none
        }
    }
}

/// Steps over records: length, attributes, time delta, offset delta, and the rest unread. Safe: it never leaves the closure
/// that lends the bytes, and checks each access against their end.
@safe private struct RecordCursor {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }

    /// The next record; nil when the bytes end, or are none.
    mutating func next() -> (timestampDelta: Int64, offsetDelta: Int64)? {
        guard let length = varint(), length >= 0, length <= Int64(unsafe bytes.count - position) else { return nil }
        let end = position + Int(length)
        // One byte of attributes that mean nothing yet.
        position += 1
        guard let timestampDelta = varint(), let offsetDelta = varint(), position <= end else { return nil }
        guard offsetDelta >= 0, offsetDelta <= Int64(Int32.max) else { return nil }
        position = end
        return (timestampDelta, offsetDelta)
    }

    /// Seven bits a byte, lowest first, the sign in the lowest bit.
    private mutating func varint() -> Int64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while unsafe position < bytes.count, shift < 64 {
            let byte = unsafe bytes[position]
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
            shift += 7
        }
        return nil
    }
}
