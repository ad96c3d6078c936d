/// A text that is compared byte by byte, as Postgres does. Swift's strings take two ways of writing é for one, so a key
/// made of them would be one where the table has two rows.
struct ByteText: Hashable, Sendable, Comparable, CustomStringConvertible {
    let text: String

    init(_ text: String) { self.text = text }

    var description: String { text }

    static func == (left: ByteText, right: ByteText) -> Bool {
        let (one, two) = (left.text.utf8, right.text.utf8)
        return one.count == two.count && one.elementsEqual(two)
    }

    static func < (left: ByteText, right: ByteText) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(StableHash.of(text)) }
}
