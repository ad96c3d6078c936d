/// A text that is compared byte by byte, as Postgres does. Swift's strings take two ways of writing é for one, so a key
/// made of them would be one where the table has two rows.
public struct ByteText: Hashable, Sendable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let text: String

    public init(_ text: String) { self.text = text }

    public init(stringLiteral text: String) { self.text = text }

    public var description: String { text }

    public static func == (left: ByteText, right: ByteText) -> Bool {
        // What is not even equal as a text has other bytes; of plain ASCII nothing is written in two ways.
        guard left.text == right.text else { return false }
        return left.text.utf8Span.isKnownASCII || left.text.utf8.elementsEqual(right.text.utf8)
    }

    public static func < (left: ByteText, right: ByteText) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var text = text
        // The bytes are read before the closure ends.
        text.withUTF8 { bytes in unsafe hasher.combine(bytes: UnsafeRawBufferPointer(bytes)) }
        hasher.combine(0xff as UInt8)
    }
}
