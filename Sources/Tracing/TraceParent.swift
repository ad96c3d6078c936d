/// Where a span stands: which trace, which span, and whether anybody keeps it. On the wire it is W3C's `traceparent`.
public struct TraceParent: Hashable, Sendable, CustomStringConvertible {
    /// 16 bytes that all spans of a trace share; never all zero.
    public let trace: TraceID
    /// 8 bytes; never zero.
    public let span: UInt64
    /// Whether whoever made the span keeps it, so that those below it are worth keeping.
    public let isSampled: Bool

    public init(trace: TraceID, span: UInt64, isSampled: Bool) {
        self.trace = trace
        self.span = span
        self.isSampled = isSampled
    }

    /// How long the text is.
    public static let bytes = 55

    /// From `00-…-…-01`. A later version may have more behind it, and counts by what is known; anything else is nil, and
    /// whoever gets it begins a trace of its own, as the standard says.
    public init?(_ text: some Collection<UInt8>) {
        guard text.count >= Self.bytes, text.count <= 512 else { return nil }
        let bytes = Array(text.prefix(Self.bytes + 1))
        guard bytes[2] == Self.dash, bytes[35] == Self.dash, bytes[52] == Self.dash,
            let version = Self.number(bytes[0..<2]), version != 0xff,
            bytes.count == Self.bytes || version > 0 && bytes[55] == Self.dash,
            let high = Self.number(bytes[3..<19]), let low = Self.number(bytes[19..<35]),
            let span = Self.number(bytes[36..<52]), let flags = Self.number(bytes[53..<55]),
            high != 0 || low != 0, span != 0
        else { return nil }
        self.init(trace: TraceID(high: high, low: low), span: span, isSampled: flags & 1 == 1)
    }

    public init?(_ text: String) { self.init(text.utf8) }

    public var utf8: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.bytes)
        bytes += [UInt8(ascii: "0"), UInt8(ascii: "0"), Self.dash]
        Self.append(trace.high, &bytes)
        Self.append(trace.low, &bytes)
        bytes.append(Self.dash)
        Self.append(span, &bytes)
        bytes += [Self.dash, UInt8(ascii: "0"), isSampled ? UInt8(ascii: "1") : UInt8(ascii: "0")]
        return bytes
    }

    public var description: String { String(decoding: utf8, as: UTF8.self) }

    private static let dash = UInt8(ascii: "-")

    /// Lower-case hexadecimal, as the standard demands.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(digit - 0x57)
            case _: return nil
            }
        }
        return value
    }

    private static func append(_ value: UInt64, _ bytes: inout [UInt8]) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 0xf
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}

public struct TraceID: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}
