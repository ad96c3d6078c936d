import CCompression

/// How a batch's records are compressed; the raw value is the batch's codec number.
enum TestCodec: Int16, CaseIterable, Sendable {
    case none = 0
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4
}

/// Builds record batches as a producer sends them, written from the format's description and not with the broker's code.
struct RecordBatchBuilder {
    struct Record {
        var key: [UInt8]?
        var value: [UInt8]?
        var timestamp: Int64
        var headers: [(name: String, value: [UInt8]?)] = []
    }

    var records: [Record] = []
    var baseOffset: Int64 = 0
    var producerID: Int64 = -1
    var producerEpoch: Int16 = -1
    var baseSequence: Int32 = -1
    var codec = TestCodec.none
    /// Snappy as the Java library frames it.
    var framesSnappy = false
    /// Bits set besides the codec's.
    var extraAttributes: Int16 = 0

    init() {}

    /// A batch of `count` records with values of `valueBytes` and timestamps that grow by one.
    init(count: Int, valueBytes: Int = 10, timestamp: Int64 = 1_000_000, codec: TestCodec = .none) {
        self.codec = codec
        records = (0..<count).map { index in
            let value = (0..<valueBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) }
            return Record(key: Array("key-\(index)".utf8), value: value, timestamp: timestamp + Int64(index))
        }
    }

    func idempotent(_ id: Int64, epoch: Int16 = 0, sequence: Int32) -> RecordBatchBuilder {
        var copy = self
        copy.producerID = id
        copy.producerEpoch = epoch
        copy.baseSequence = sequence
        return copy
    }

    /// The batch's bytes.
    func bytes() -> [UInt8] {
        let baseTimestamp = records.first?.timestamp ?? 0
        var body: [UInt8] = []
        for (index, record) in records.enumerated() {
            var content: [UInt8] = [0]
            content += Self.varint(record.timestamp - baseTimestamp)
            content += Self.varint(Int64(index))
            content += Self.field(record.key) + Self.field(record.value)
            content += Self.varint(Int64(record.headers.count))
            for header in record.headers { content += Self.field(Array(header.name.utf8)) + Self.field(header.value) }
            body += Self.varint(Int64(content.count)) + content
        }
        var checked = Self.integer(codec.rawValue | extraAttributes)
        checked += Self.integer(Int32(records.count) - 1)
        checked += Self.integer(baseTimestamp)
        checked += Self.integer(records.map(\.timestamp).max() ?? 0)
        checked += Self.integer(producerID) + Self.integer(producerEpoch) + Self.integer(baseSequence)
        checked += Self.integer(Int32(records.count))
        checked += compressed(body)
        let counted = Self.integer(Int32(-1)) + [2] + Self.integer(Self.crc32c(checked)) + checked
        return Self.integer(baseOffset) + Self.integer(Int32(counted.count)) + counted
    }

    /// Sets a batch's checksum after a test has changed its bytes.
    static func fixChecksum(_ batch: inout [UInt8]) {
        batch.replaceSubrange(17..<21, with: integer(crc32c(Array(batch[21...]))))
    }

    /// The textbook's bit by bit CRC-32C, through a table.
    static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
    }

    static func integer<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        (0..<MemoryLayout<Value>.size).reversed().map { UInt8(truncatingIfNeeded: value >> Value($0 * 8)) }
    }

    static func varint(_ value: Int64) -> [UInt8] {
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        var bytes: [UInt8] = []
        while rest > 0x7f {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private static func field(_ bytes: [UInt8]?) -> [UInt8] {
        bytes.map { varint(Int64($0.count)) + $0 } ?? varint(-1)
    }

    private func compressed(_ body: [UInt8]) -> [UInt8] {
        switch codec {
        case .none: body
        case .gzip: Self.gzip(body)
        case .snappy: framesSnappy ? Self.framedSnappy(body) : Self.snappy(body)
        case .lz4: Self.lz4(body)
        case .zstd: Self.zstd(body)
        }
    }

    /// Runs a C compressor from `body` into `capacity` bytes; it returns how many it wrote.
    private static func compress(
        _ body: [UInt8], capacity: Int,
        _ run: (_ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer) -> Int
    ) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            unsafe body.withUnsafeBytes { source in
                count = unsafe run(source, UnsafeMutableRawBufferPointer(target))
            }
        }
    }

    private static func gzip(_ body: [UInt8]) -> [UInt8] {
        var state = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        let code = unsafe deflateInit2_(
            &state, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        precondition(code == Z_OK)
        defer { unsafe deflateEnd(&state) }
        return unsafe compress(body, capacity: body.count + 1024) { source, target in
            unsafe state.next_in = UnsafeMutablePointer(
                mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self))
            unsafe state.avail_in = UInt32(source.count)
            unsafe state.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe state.avail_out = UInt32(target.count)
            let code = unsafe deflate(&state, Z_FINISH)
            precondition(code == Z_STREAM_END)
            return unsafe target.count - Int(state.avail_out)
        }
    }

    private static func snappy(_ body: [UInt8]) -> [UInt8] {
        unsafe compress(body, capacity: snappy_max_compressed_length(body.count)) { source, target in
            var written = target.count
            let code = unsafe snappy_compress(
                source.baseAddress?.assumingMemoryBound(to: CChar.self), source.count,
                target.baseAddress?.assumingMemoryBound(to: CChar.self), &written)
            precondition(code == SNAPPY_OK)
            return written
        }
    }

    private static func framedSnappy(_ body: [UInt8]) -> [UInt8] {
        var framed: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0] + integer(Int32(1)) + integer(Int32(1))
        var rest = body[...]
        // Small blocks, so that records lie across their edges.
        while !rest.isEmpty {
            let block = snappy(Array(rest.prefix(100)))
            framed += integer(Int32(block.count)) + block
            rest = rest.dropFirst(100)
        }
        return framed
    }

    private static func lz4(_ body: [UInt8]) -> [UInt8] {
        unsafe compress(body, capacity: LZ4F_compressFrameBound(body.count, nil)) { source, target in
            let count = unsafe LZ4F_compressFrame(
                target.baseAddress, target.count, source.baseAddress, source.count, nil)
            precondition(LZ4F_isError(count) == 0)
            return count
        }
    }

    private static func zstd(_ body: [UInt8]) -> [UInt8] {
        unsafe compress(body, capacity: ZSTD_compressBound(body.count)) { source, target in
            let count = unsafe ZSTD_compress(
                target.baseAddress, target.count, source.baseAddress, source.count, 3)
            precondition(ZSTD_isError(count) == 0)
            return count
        }
    }
}
