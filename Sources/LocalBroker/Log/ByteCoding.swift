internal import CIsal

// Integers in big-endian order, as Kafka's batches and our own small files hold them, and the checksum of both.

extension UnsafeRawBufferPointer {
    /// The integer at a byte position that the caller has checked to lie inside.
    func integer<Value: FixedWidthInteger>(at position: Int, as type: Value.Type = Value.self) -> Value {
        unsafe Value(bigEndian: loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    /// CRC-32C of all bytes, continuing `previous`.
    func checksum(continuing previous: UInt32 = 0) -> UInt32 {
        unsafe flotilla_crc32c(baseAddress, count, previous)
    }
}

/// Builds one of our own small files or records.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 64) { bytes.reserveCapacity(capacity) }

    mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func put(_ other: some Collection<UInt8>) { bytes.append(contentsOf: other) }

    /// Everything put, with its checksum behind it.
    func sealed() -> [UInt8] {
        var sealed = self
        sealed.put(unsafe bytes.withUnsafeBytes { unsafe $0.checksum() })
        return sealed.bytes
    }
}

/// Reads what `ByteWriter` built. Every read past the end is nil, whatever the bytes say.
struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// A reader of what `sealed()` made; nil when the checksum denies it.
    init?(sealed bytes: [UInt8]) {
        guard bytes.count >= 4 else { return nil }
        let end = bytes.count - 4
        let matches = unsafe bytes.withUnsafeBytes { all in
            let content = unsafe UnsafeRawBufferPointer(rebasing: all[..<end])
            return unsafe all.integer(at: end) == content.checksum()
        }
        guard matches else { return nil }
        self.init(bytes[..<end])
    }

    var remaining: Int { bytes.endIndex - position }

    mutating func take<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        let width = MemoryLayout<Value>.size
        guard remaining >= width else { return nil }
        let start = position - bytes.startIndex
        position += width
        return unsafe bytes.withUnsafeBytes { unsafe $0.integer(at: start) }
    }

    mutating func take(count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= remaining else { return nil }
        defer { position += count }
        return bytes[position..<position + count]
    }
}
