/// Reads the protocol's primitives from one frame.
///
/// The frame is lent: a reader must not outlive the buffer that it was made over, and nothing that it returns points into
/// it. Payloads that nobody looks into here (records) come out as ranges of the frame, so that a batch can be checked,
/// patched and written from the buffer it arrived in.
///
/// Every read is checked against what is left, so that whatever a peer sends ends in a value or in a `WireFault`.
/// Since a count costs the peer four bytes and us memory, an array may claim no more elements than bytes are left, nothing
/// is reserved on the strength of a large count alone, and all arrays of a frame share one budget of elements.
///
/// Kafka has two encodings: lengths of fixed size, and, in *flexible* versions, compact lengths with tagged fields after
/// each structure. Which one holds is known from the header on; the reader carries it, so that the messages read the same
/// in both.
@safe
struct WireReader {
    /// More than any honest request names; each costs us some tens of bytes.
    static let maximumElements = 1 << 18

    private let frame: UnsafeRawBufferPointer
    private(set) var position = 0
    private var elementsLeft = WireReader.maximumElements
    /// Whether compact lengths and tagged fields are used; set by the request's header.
    var isFlexible = false

    /// A reader over a frame without its length prefix.
    init(_ frame: UnsafeRawBufferPointer) {
        unsafe self.frame = unsafe frame
    }

    var remaining: Int { unsafe frame.count - position }

    func fault(_ reason: WireFault.Reason) -> WireFault { WireFault(reason: reason, position: position) }

    /// Moves past `count` bytes and says where they are.
    mutating func take(_ count: Int) throws(WireFault) -> Range<Int> {
        guard count >= 0 else { throw fault(.negativeLength(count)) }
        guard count <= remaining else { throw fault(.truncated(needed: count - remaining)) }
        defer { position += count }
        return position..<position + count
    }

    /// A copy of the bytes at a range that this reader gave out.
    func copy(_ range: Range<Int>) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(rebasing: frame[range]))
    }

    // MARK: Numbers

    private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>() throws(WireFault) -> T {
        let range = try take(MemoryLayout<T>.size)
        return T(bigEndian: unsafe frame.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self))
    }

    mutating func int8() throws(WireFault) -> Int8 { try integer() }
    mutating func int16() throws(WireFault) -> Int16 { try integer() }
    mutating func int32() throws(WireFault) -> Int32 { try integer() }
    mutating func int64() throws(WireFault) -> Int64 { try integer() }
    mutating func uint32() throws(WireFault) -> UInt32 { try integer() }

    /// Any byte but zero is true, as it is for Kafka.
    mutating func bool() throws(WireFault) -> Bool { try int8() != 0 }

    mutating func uuid() throws(WireFault) -> UUID128 { try UUID128(high: integer(), low: integer()) }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    private mutating func variableLength(bits: Int) throws(WireFault) -> UInt64 {
        var value: UInt64 = 0
        var shift = 0
        while true {
            let byte: UInt8 = try integer()
            let part = UInt64(byte & 0x7F)
            // The last byte may hold fewer than seven bits; what would fall off the top is a fault, not another number.
            guard shift < bits, shift + 7 <= bits || part >> (bits - shift) == 0 else { throw fault(.varintTooLong) }
            value |= part << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }

    mutating func uvarint() throws(WireFault) -> UInt32 { UInt32(truncatingIfNeeded: try variableLength(bits: 32)) }

    /// Signed numbers are folded, so that small negative ones are short too: 0, -1, 1, -2 …
    mutating func varint() throws(WireFault) -> Int32 {
        let folded = try uvarint()
        return Int32(bitPattern: folded >> 1) ^ -Int32(bitPattern: folded & 1)
    }

    mutating func varlong() throws(WireFault) -> Int64 {
        let folded = try variableLength(bits: 64)
        return Int64(bitPattern: folded >> 1) ^ -Int64(bitPattern: folded & 1)
    }

    // MARK: Strings and bytes

    /// A compact length is sent plus one, so that zero can mean null.
    private mutating func compactLength() throws(WireFault) -> Int? {
        let length = Int(try uvarint())
        guard length <= Int(Int32.max) else { throw fault(.tooLong(length)) }
        return length == 0 ? nil : length - 1
    }

    /// A length of fixed size, of which -1 alone may be negative: it means null.
    private func nullable(_ length: Int) throws(WireFault) -> Int? {
        guard length >= -1 else { throw fault(.negativeLength(length)) }
        return length == -1 ? nil : length
    }

    private func required<T>(_ value: T?) throws(WireFault) -> T {
        guard let value else { throw fault(.nullWhereRequired) }
        return value
    }

    /// A string in the encoding of inflexible versions whatever the version: the request header has one such.
    mutating func fixedNullableString() throws(WireFault) -> String? {
        guard let length = try nullable(Int(try int16())) else { return nil }
        return try text(length)
    }

    mutating func nullableString() throws(WireFault) -> String? {
        guard isFlexible else { return try fixedNullableString() }
        guard let length = try compactLength() else { return nil }
        guard length <= Int(Int16.max) else { throw fault(.tooLong(length)) }
        return try text(length)
    }

    mutating func string() throws(WireFault) -> String { try required(try nullableString()) }

    private mutating func text(_ length: Int) throws(WireFault) -> String {
        let range = try take(length)
        let utf8 = unsafe UnsafeRawBufferPointer(rebasing: frame[range])
        guard let text = unsafe String(validating: utf8, as: UTF8.self) else { throw fault(.invalidUTF8) }
        return text
    }

    /// Bytes that stay where they are.
    mutating func nullableByteRange() throws(WireFault) -> Range<Int>? {
        let length = isFlexible ? try compactLength() : try nullable(Int(try int32()))
        guard let length else { return nil }
        return try take(length)
    }

    /// Bytes that outlive the frame.
    mutating func bytes() throws(WireFault) -> [UInt8] { copy(try required(try nullableByteRange())) }

    // MARK: Arrays and structures

    private mutating func nullableCount() throws(WireFault) -> Int? {
        guard let count = isFlexible ? try compactLength() : try nullable(Int(try int32())) else { return nil }
        guard count <= remaining, count <= elementsLeft else { throw fault(.tooManyElements(count)) }
        elementsLeft -= count
        return count
    }

    private mutating func nullableArray<Element>(
        _ element: (inout WireReader) throws(WireFault) -> Element
    ) throws(WireFault) -> [Element]? {
        guard let count = try nullableCount() else { return nil }
        var elements: [Element] = []
        elements.reserveCapacity(min(count, 256))
        for _ in 0..<count { elements.append(try element(&self)) }
        return elements
    }

    mutating func nullableArray<Element: WireDecodable>(version: Int16) throws(WireFault) -> [Element]? {
        try nullableArray { (reader: inout WireReader) throws(WireFault) in
            try Element(from: &reader, version: version)
        }
    }

    mutating func array<Element: WireDecodable>(version: Int16) throws(WireFault) -> [Element] {
        try required(try nullableArray(version: version))
    }

    mutating func int32s() throws(WireFault) -> [Int32] {
        try required(try nullableArray { (reader: inout WireReader) throws(WireFault) in try reader.int32() })
    }

    mutating func nullableStrings() throws(WireFault) -> [String]? {
        try nullableArray { (reader: inout WireReader) throws(WireFault) in try reader.string() }
    }

    mutating func strings() throws(WireFault) -> [String] { try required(try nullableStrings()) }

    /// Passes over the tagged fields that end a structure of a flexible version. None of those that clients send matters
    /// to a single broker, and unknown ones are to be ignored.
    mutating func skipTaggedFields() throws(WireFault) {
        guard isFlexible else { return }
        var previous: UInt32?
        for _ in 0..<(try uvarint()) {
            let tag = try uvarint()
            if let previous, tag <= previous { throw fault(.taggedFieldsOutOfOrder) }
            previous = tag
            _ = try take(Int(try uvarint()))
        }
    }
}
