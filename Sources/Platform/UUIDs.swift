internal import Synchronization

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
        let (high, low) = sha1.withLock { digest in
            digest.start()
            digest.add(namespace.bytes)
            digest.add(name)
            return digest.finish()
        }
        return UUIDValue(version: 5, high, low)
    }

    /// Version 7: later ones sort after earlier ones.
    public static func version7(at milliseconds: Int64 = Time.wallMilliseconds) -> UUIDValue {
        var random = SystemRandomNumberGenerator()
        let time = UInt64(bitPattern: milliseconds) << 16
        return UUIDValue(version: 7, time | random.next() & 0xffff, random.next())
    }

    /// What names of events are derived in.
    public static let flotillaEvents = UUIDValue(high: 0x7a0c_5b52_9c1e_4d0b, low: 0x8e27_61f3_44a8_d3c5)

    private static let sha1 = Mutex(Digest(.sha1))

    private var bytes: [UInt8] {
        (0..<16).map { index in
            UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64(56 - 8 * (index % 8)))
        }
    }

    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 { text.append(UInt8(ascii: "-")) }
            let byte = UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64(56 - 8 * (index % 8)))
            text.append(Self.digits[Int(byte >> 4)])
            text.append(Self.digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
