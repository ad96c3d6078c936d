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
        var at = 0
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 { at += 1 }
            let byte = UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64(56 - 8 * (index % 8)))
            text[at] = Self.digit(byte >> 4)
            text[at + 1] = Self.digit(byte & 15)
            at += 2
        }
        return text
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
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
