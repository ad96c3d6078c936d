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
    public static let byteCount = 55

    /// More than this is not looked at.
    private static let longest = 512

    /// From `00-…-…-01`. A later version may have more behind it, and counts by what is known; anything else is nil, and
    /// whoever gets it begins a trace of its own, as the standard says.
    public init?(_ text: RawSpan) {
        guard text.byteCount >= Self.byteCount, text.byteCount <= Self.longest,
            Self.byte(text, 2) == Self.dash, Self.byte(text, 35) == Self.dash, Self.byte(text, 52) == Self.dash,
            let version = Self.number(text, 0..<2), version != 0xff,
            text.byteCount == Self.byteCount || version > 0 && Self.byte(text, 55) == Self.dash,
            let high = Self.number(text, 3..<19), let low = Self.number(text, 19..<35),
            let span = Self.number(text, 36..<52), let flags = Self.number(text, 53..<55),
            high != 0 || low != 0, span != 0
        else { return nil }
        self.init(trace: TraceID(high: high, low: low), span: span, isSampled: flags & 1 == 1)
    }

    public init?(_ text: String) { self.init(unsafe text.utf8.span.bytes) }

    /// Lends the text as bytes.
    public func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        var bytes = InlineArray<55, UInt8>(repeating: Self.dash)
        (bytes[0], bytes[1]) = (UInt8(ascii: "0"), UInt8(ascii: "0"))
        for place in 0..<16 {
            bytes[3 + place] = Self.digit(trace.high, place)
            bytes[19 + place] = Self.digit(trace.low, place)
            bytes[36 + place] = Self.digit(span, place)
        }
        (bytes[53], bytes[54]) = (UInt8(ascii: "0"), UInt8(ascii: isSampled ? "1" : "0"))
        return unsafe body(bytes.span.bytes)
    }

    public var description: String {
        withBytes { span in unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
    }

    private static let dash = UInt8(ascii: "-")

    private static func byte(_ text: RawSpan, _ place: Int) -> UInt8 {
        unsafe text.unsafeLoad(fromByteOffset: place, as: UInt8.self)
    }

    /// Lower-case hexadecimal, as the standard demands.
    private static func number(_ text: RawSpan, _ places: Range<Int>) -> UInt64? {
        var value: UInt64 = 0
        for place in places {
            let digit = byte(text, place)
            switch digit {
            case 0x30...0x39: value = value << 4 | UInt64(digit &- 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(digit &- 0x57)
            case _: return nil
            }
        }
        return value
    }

    fileprivate static func digit(_ value: UInt64, _ place: Int) -> UInt8 {
        let digit = UInt8(truncatingIfNeeded: value >> UInt64(60 &- 4 &* place)) & 0xf
        return digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
    }
}

/// What all spans of a trace share. It prints as 32 hexadecimal digits, by which a tracing backend is asked.
public struct TraceID: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public var description: String {
        String(
            decoding: (0..<16).map { TraceParent.digit(high, $0) } + (0..<16).map { TraceParent.digit(low, $0) },
            as: UTF8.self)
    }
}
