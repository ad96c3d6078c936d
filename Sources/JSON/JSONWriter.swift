/// Writes JSON into an array of bytes, from left to right.
///
///     var json = JSONWriter()
///     json.object { json in
///         json.member("id", "a")
///         json.array("tags") { $0.append(1) }
///     }
///     publish(json.bytes)
///
/// Commas are the writer's. What is written is correct by itself: text is escaped, and a number that JSON does not have
/// (NaN, an infinity) becomes null.
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8]
    /// Whether the next value stands behind another one.
    private var needsComma = false

    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Goes on behind bytes that are there already, with a value of its own.
    public init(after bytes: consuming [UInt8]) { self.bytes = bytes }

    /// Begins anew with the same memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    public var text: String { String(decoding: bytes, as: UTF8.self) }

    // MARK: Values

    public mutating func append(_ text: String) {
        comma()
        quote(text)
    }

    public mutating func append(_ flag: Bool) {
        comma()
        raw(flag ? "true" : "false")
    }

    public mutating func append(_ number: some BinaryInteger) {
        comma()
        plain(String(number))
    }

    /// What most numbers are, and no generic call.
    public mutating func append(_ number: Int) {
        comma()
        // The last digit comes first, so they are put down from the end.
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var (rest, start) = (number.magnitude, digits.count)
        repeat {
            start -= 1
            digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 {
            start -= 1
            digits[start] = UInt8(ascii: "-")
        }
        unsafe digits.span.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0[start...]) }
    }

    public mutating func append(_ number: Double) {
        comma()
        guard number.isFinite else { return raw("null") }
        // The shortest text that reads as the same number; JSON allows its forms.
        plain(number.description)
    }

    /// A number of units of 10^-`fractionDigits`, written exactly: 12 500 000 with 6 is `12.5`.
    public mutating func append(_ units: Int64, fractionDigits: Int) {
        comma()
        if units < 0 { bytes.append(UInt8(ascii: "-")) }
        var digits = String(units.magnitude)
        if fractionDigits > 0 {
            digits = String(repeating: "0", count: max(0, fractionDigits + 1 - digits.count)) + digits
            bytes.append(contentsOf: digits.dropLast(fractionDigits).utf8)
            let fraction = digits.suffix(fractionDigits)
            let kept = fraction.utf8.reversed().drop { $0 == UInt8(ascii: "0") }
            if !kept.isEmpty {
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: kept.reversed())
            }
        } else {
            bytes.append(contentsOf: digits.utf8)
        }
    }

    public mutating func appendNull() {
        comma()
        raw("null")
    }

    /// A value of a document, as it was written there.
    public mutating func append(_ value: JSONValue) {
        comma()
        value.withSource { source in
            unsafe source.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        }
    }

    /// Bytes that are one JSON value already; nobody checks that.
    public mutating func append(json: some Sequence<UInt8>) {
        comma()
        bytes.append(contentsOf: json)
    }

    // MARK: Containers

    public mutating func object<Failure: Error>(_ body: (inout JSONWriter) throws(Failure) -> Void) throws(Failure) {
        begin("{")
        try body(&self)
        end("}")
    }

    public mutating func array<Failure: Error>(_ body: (inout JSONWriter) throws(Failure) -> Void) throws(Failure) {
        begin("[")
        try body(&self)
        end("]")
    }

    mutating func begin(_ bracket: Unicode.Scalar) {
        comma()
        bytes.append(UInt8(ascii: bracket))
        needsComma = false
    }

    mutating func end(_ bracket: Unicode.Scalar) {
        bytes.append(UInt8(ascii: bracket))
        needsComma = true
    }

    // MARK: Members. To be called between the beginning and the end of an object.

    /// A member's name; its value is what is appended next.
    public mutating func name(_ name: String) {
        comma()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// As above, for a name that is known to need no escape: nothing is looked at.
    package mutating func name(plain name: StaticString) {
        let text = unsafe UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        let mark = needsComma ? 1 : 0
        bytes.append(addingCapacity: text.count + mark + 3) { output in
            unsafe output.withUnsafeMutableBufferPointer { room, count in
                let target = UnsafeMutableRawBufferPointer(room)
                unsafe target[0] = UInt8(ascii: ",")
                unsafe target[mark] = UInt8(ascii: "\"")
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[(mark + 1)...]).copyMemory(from: text)
                unsafe target[mark + text.count + 1] = UInt8(ascii: "\"")
                unsafe target[mark + text.count + 2] = UInt8(ascii: ":")
                count = text.count + mark + 3
            }
        }
        needsComma = false
    }

    public mutating func member(_ name: String, _ text: String) {
        self.name(name)
        append(text)
    }

    public mutating func member(_ name: String, _ flag: Bool) {
        self.name(name)
        append(flag)
    }

    public mutating func member(_ name: String, _ number: some BinaryInteger) {
        self.name(name)
        append(number)
    }

    public mutating func member(_ name: String, _ number: Int) {
        self.name(name)
        append(number)
    }

    public mutating func member(_ name: String, _ number: Double) {
        self.name(name)
        append(number)
    }

    public mutating func object<Failure: Error>(
        _ name: String, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.name(name)
        try object(body)
    }

    public mutating func array<Failure: Error>(
        _ name: String, _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        self.name(name)
        try array(body)
    }

    // MARK: Bytes

    private mutating func comma() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func raw(_ text: StaticString) {
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Text that needs no quotes.
    private mutating func plain(_ text: String) {
        var text = text
        text.withUTF8 { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func quote(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            // Most texts need no escape: room is asked for once, and they are copied as they are.
            guard unsafe Self.isPlain(UnsafeRawBufferPointer(utf8)) else { return unsafe quoteEscaping(utf8) }
            bytes.append(addingCapacity: utf8.count + 2) { output in
                unsafe output.withUnsafeMutableBufferPointer { room, count in
                    let target = UnsafeMutableRawBufferPointer(room)
                    unsafe target[0] = UInt8(ascii: "\"")
                    unsafe UnsafeMutableRawBufferPointer(rebasing: target[1...])
                        .copyMemory(from: UnsafeRawBufferPointer(utf8))
                    unsafe target[utf8.count + 1] = UInt8(ascii: "\"")
                    count = utf8.count + 2
                }
            }
        }
    }

    private mutating func quoteEscaping(_ utf8: UnsafeBufferPointer<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        // In runs: what needs no escape is copied as it is.
        var start = 0
        for index in utf8.indices {
            let byte = unsafe utf8[index]
            guard Self.needsEscape(byte) else { continue }
            unsafe bytes.append(contentsOf: utf8[start..<index])
            escape(byte)
            start = index + 1
        }
        unsafe bytes.append(contentsOf: utf8[start...])
        bytes.append(UInt8(ascii: "\""))
    }

    /// Whether nothing in a text needs an escape; told eight bytes at a time.
    private static func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
        let (ones, tops): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        var index = 0
        while index + 8 <= text.count {
            let word = unsafe text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // What is below a space, and what differs from a quote or a backslash by nothing. The first of them is told
            // rightly; what stands behind it, which may be told wrongly, does not matter then.
            let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let slash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            let low = (word &- ones &* 0x20) & ~word
            guard (low | (quote &- ones) & ~quote | (slash &- ones) & ~slash) & tops == 0 else { return false }
            index += 8
        }
        while index < text.count {
            guard unsafe !needsEscape(text[index]) else { return false }
            index += 1
        }
        return true
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): raw("\\\"")
        case UInt8(ascii: "\\"): raw("\\\\")
        case 10: raw("\\n")
        case 13: raw("\\r")
        case 9: raw("\\t")
        case _:
            raw("\\u00")
            for digit in [byte >> 4, byte & 15] {
                bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }
}
