/// A UUID as RFC 9562 has it.
public struct UUIDValue: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Made of a digest or of random bits, whose version and variant are put in.
    private init(version: UInt64, _ high: UInt64, _ low: UInt64) {
        self.high = high & 0xffff_ffff_ffff_0fff | version << 12
        self.low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
    }

    /// Version 5: the same for the same name in the same namespace, for ever.
    public static func version5(in namespace: UUIDValue, _ name: [UInt8]) -> UUIDValue {
        version5(in: namespace, by: Digest(.sha1)) { $0.add(name) }
    }

    /// As above, for those who make many: by a SHA-1 that they keep, to which the name is added in pieces.
    public static func version5(
        in namespace: UUIDValue, by digest: Digest, _ addName: (Digest) -> Void
    ) -> UUIDValue {
        digest.start()
        unsafe withUnsafeBytes(of: (namespace.high.bigEndian, namespace.low.bigEndian)) {
            digest.add(unsafe RawSpan(_unsafeBytes: $0))
        }
        addName(digest)
        let (high, low) = digest.finish()
        return UUIDValue(version: 5, high, low)
    }

    /// Version 7: later ones sort after earlier ones.
    public static func version7(at milliseconds: Int64 = Time.wallMilliseconds) -> UUIDValue {
        let (one, other) = RandomPool.shared.next()
        return UUIDValue(version: 7, UInt64(bitPattern: milliseconds) << 16 | one & 0xffff, other)
    }

    /// What names of events are derived in.
    public static let flotillaEvents = UUIDValue(high: 0x7a0c_5b52_9c1e_4d0b, low: 0x8e27_61f3_44a8_d3c5)

    public var description: String {
        let text = utf8
        return unsafe text.span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// What `description` says, with no string made of it.
    public var utf8: InlineArray<36, UInt8> {
        var text = InlineArray<36, UInt8>(repeating: UInt8(ascii: "-"))
        // Eight digits each; of some four go before a dash and four behind it.
        let digits = (
            Self.digits(high >> 32), Self.digits(high), Self.digits(low >> 32), Self.digits(low)
        )
        var span = text.mutableSpan
        var bytes = unsafe span.mutableBytes
        bytes.storeBytes(of: digits.0, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: UInt32(truncatingIfNeeded: digits.1), toByteOffset: 9, as: UInt32.self)
        bytes.storeBytes(of: UInt32(truncatingIfNeeded: digits.1 >> 32), toByteOffset: 14, as: UInt32.self)
        bytes.storeBytes(of: UInt32(truncatingIfNeeded: digits.2), toByteOffset: 19, as: UInt32.self)
        bytes.storeBytes(of: UInt32(truncatingIfNeeded: digits.2 >> 32), toByteOffset: 24, as: UInt32.self)
        bytes.storeBytes(of: digits.3, toByteOffset: 28, as: UInt64.self)
        return text
    }

    /// The hexadecimal digits of the lower 32 bits, as they lie in memory: all eight at once, a byte each.
    private static func digits(_ value: UInt64) -> UInt64 {
        var nibbles = value & 0xffff_ffff
        nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff
        nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff
        nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f
        // Of ten and more, adding six sets the bit above.
        let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return (nibbles + 0x3030_3030_3030_3030 + letters * 39).bigEndian
    }
}

extension UUIDValue {
    /// Reads what `description` writes; nil for anything else.
    public init?(text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for (index, byte) in bytes.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
            (high, low) = (high << 4 | low >> 60, low << 4 | UInt64(digit))
        }
        self.init(high: high, low: low)
    }

    /// When a UUID of version 7 was made, in milliseconds since 1970; nil for other versions.
    public var milliseconds: Int64? { high >> 12 & 0xf == 7 ? Int64(high >> 16) : nil }
}
