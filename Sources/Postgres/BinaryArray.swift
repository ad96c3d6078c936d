public import Platform

/// Many values of one type on their way to Postgres, in the form that the server itself has: a statement about a
/// thousand rows reads no text. The statement says of what type it is: `unnest(\(keys)::text[])`.
public struct BinaryArray: SQLConvertible, Sendable {
    private var bytes: [UInt8] = []

    public init(texts: some Collection<String>) {
        self.init(.text, count: texts.count) { array in
            for text in texts { array.append(text.utf8) }
        }
    }

    public init(bytes values: some Collection<[UInt8]>) {
        self.init(.bytea, count: values.count) { array in
            for value in values { array.append(value) }
        }
    }

    public init(integers: some Collection<Int64>) {
        self.init(.int8, count: integers.count) { array in
            for value in integers { array.append(word: value) }
        }
    }

    public init(integers: some Collection<Int64?>) {
        self.init(.int8, count: integers.count) { array in
            for value in integers {
                if let value { array.append(word: value) } else { array.append(length: -1) }
            }
        }
    }

    public init(times: some Collection<Timestamp>) {
        self.init(.timestamptz, count: times.count) { array in
            // Microseconds since 2000. What is beyond the years that a `Timestamp` can write stops at the last of them.
            for time in times {
                array.append(word: (min(max(time.milliseconds, -Self.far), Self.far) - Self.epoch) * 1000)
            }
        }
    }

    public var sqlValue: SQLValue { .bytes(bytes) }

    // MARK: The form

    /// Postgres' own numbers for its types, which never change.
    private enum Element: Int32 {
        case bytea = 17
        case int8 = 20
        case text = 25
        case timestamptz = 1184
    }

    private static let epoch: Int64 = 946_684_800_000
    private static let far: Int64 = 253_402_300_799_999

    private init(_ element: Element, count: Int, _ fill: (inout BinaryArray) -> Void) {
        // Dimensions, whether there may be nulls, the type; then for the one dimension its length and where it begins.
        append(length: count == 0 ? 0 : 1)
        append(length: 1)
        append(length: element.rawValue)
        guard count > 0 else { return }
        append(length: Int32(clamping: count))
        append(length: 1)
        fill(&self)
    }

    private mutating func append(length: Int32) { appendBigEndian(UInt32(bitPattern: length)) }

    private mutating func append(_ value: some Collection<UInt8>) {
        append(length: Int32(clamping: value.count))
        bytes.append(contentsOf: value)
    }

    private mutating func append(word: Int64) {
        append(length: 8)
        appendBigEndian(UInt64(bitPattern: word))
    }

    private mutating func appendBigEndian(_ number: some FixedWidthInteger) {
        // The bytes of an integer are bytes, and they are copied before the closure ends.
        unsafe withUnsafeBytes(of: number.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }
}
