/// A text that is compared byte by byte, as Postgres does. Swift's strings take two ways of writing é for one, so a key
/// made of them would be one where the table has two rows.
struct ByteText: Hashable, Sendable, Comparable, CustomStringConvertible {
    let text: String

    init(_ text: String) { self.text = text }

    var description: String { text }

    static func == (left: ByteText, right: ByteText) -> Bool {
        // What is not even equal as a text has other bytes; of plain ASCII nothing is written in two ways.
        guard left.text == right.text else { return false }
        return left.text.utf8Span.isKnownASCII || left.text.utf8.elementsEqual(right.text.utf8)
    }

    static func < (left: ByteText, right: ByteText) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(StableHash.of(text)) }
}
