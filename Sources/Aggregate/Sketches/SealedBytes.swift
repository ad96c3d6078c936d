/// What is stored begins with a version and ends with a check over all that stands before it. So a byte that changed, a
/// piece that is missing and another sketch's bytes are all found out at once, and the readers behind need only keep from
/// trapping. The check is 32 bits of the hash, seeded with the kind.
enum SealedKind: UInt64 {
    case uniques = 1
    case quantiles = 2
    case dimensions = 3
    case journal = 4
}

/// Builds stored bytes.
struct SealedWriter {
    private var bytes: [UInt8]
    private let kind: SealedKind

    init(_ kind: SealedKind, version: UInt8, capacity: Int) {
        self.kind = kind
        bytes = []
        bytes.reserveCapacity(capacity + 5)
        bytes.append(version)
    }

    mutating func put(byte: UInt8) { bytes.append(byte) }

    mutating func put(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }

    /// Big-endian, all in one go.
    mutating func put(words: [UInt64]) {
        // The bytes of integers are bytes, and they are copied before the closure ends.
        let swapped = words.map { $0.bigEndian }
        unsafe swapped.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }

    /// Seven bits a byte, the lowest first: small numbers are short.
    mutating func put(number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A number of either sign: 0, -1, 1, -2 become 0, 1, 2, 3.
    mutating func put(signed number: Int64) { put(number: UInt64(bitPattern: number << 1 ^ number >> 63)) }

    consuming func sealed() -> [UInt8] {
        let check = UInt32(truncatingIfNeeded: StableHash.of(bytes.span, seed: kind.rawValue))
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: check >> shift))
        }
        return bytes
    }
}

/// Reads what `SealedWriter` built. Whatever the bytes are, it throws and does not trap.
struct SealedReader {
    private let bytes: [UInt8]
    private var at = 1
    /// Where the check begins.
    private let end: Int

    init(_ kind: SealedKind, version: UInt8, _ bytes: [UInt8]) throws(SketchFault) {
        guard bytes.count >= 5 else { throw .damaged }
        self.bytes = bytes
        end = bytes.count - 4
        let check = UInt32(truncatingIfNeeded: StableHash.of(bytes.span.extracting(0..<end), seed: kind.rawValue))
        guard bytes[end...].reduce(UInt32(0), { $0 << 8 | UInt32($1) }) == check else { throw .damaged }
        // Only now, so that garbage is not taken for something newer.
        guard bytes[0] == version else { throw .version(bytes[0]) }
    }

    /// How many bytes there are still: nothing is allocated for more than could be in them.
    var remaining: Int { end - at }

    mutating func byte() throws(SketchFault) -> UInt8 {
        guard at < end else { throw .damaged }
        defer { at += 1 }
        return bytes[at]
    }

    mutating func bytes(_ count: Int) throws(SketchFault) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .damaged }
        defer { at += count }
        return bytes[at..<at + count]
    }

    mutating func words(_ count: Int) throws(SketchFault) -> [UInt64] {
        guard count >= 0, count <= remaining / 8 else { throw .damaged }
        defer { at += 8 * count }
        // Any eight bytes are an integer, and that many are there.
        return (0..<count).map { index in
            UInt64(
                bigEndian: unsafe bytes.span.bytes.unsafeLoadUnaligned(fromByteOffset: at + 8 * index, as: UInt64.self))
        }
    }

    mutating func number() throws(SketchFault) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let byte = try byte()
            let digits = UInt64(byte & 0x7f)
            // The tenth byte has one bit, and a last byte of zero would be another way to write the same.
            guard shift < 63 || digits <= 1, byte != 0 || shift == 0 else { throw .damaged }
            number |= digits << shift
            if byte < 0x80 { return number }
        }
        throw .damaged
    }

    mutating func signed() throws(SketchFault) -> Int64 {
        let number = try number()
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }

    /// To be called last: nothing may stand behind what was read.
    func finish() throws(SketchFault) {
        guard at == end else { throw .damaged }
    }
}
