/// Which values of a campaign's dimensions have windows of their own. Each dimension has the first so many values that
/// came; all that come after are `other`, so that a URL or an id that somebody sends as a dimension makes no table grow
/// without end, and the sums over all values still are the whole.
///
/// First come, first served is the one rule that never takes a window away again. A campaign's points are in one partition
/// in a fixed order, and the guard is stored in the transaction that applies them, so whoever applies them again comes to
/// the same answers.
///
/// A value is known by its hash, 8 bytes whatever its length. If two have the same one, the second gets in beyond the
/// limit, which harms nobody. It is compared byte by byte, as Postgres does; Swift's strings would take two ways of writing
/// é for one.
package struct CardinalityGuard: Hashable, Sendable {
    package struct Limits: Hashable, Sendable {
        /// Values of one dimension.
        package var values: Int
        /// Dimensions of one campaign. They come from an allow-list; this is for lists that change over the years.
        package var dimensions: Int
        /// Bytes of one value. An index entry of Postgres takes no more than 2 700, an id of ours has 255.
        package var bytes: Int

        package init(values: Int = 1000, dimensions: Int = 64, bytes: Int = 255) {
            self.values = values
            self.dimensions = dimensions
            self.bytes = bytes
        }
    }

    package enum Answer: Hashable, Sendable {
        /// It has windows of its own.
        case known
        /// It has from now on: the guard is to be stored.
        case new
        /// It counts under `CardinalityGuard.other`.
        case other
    }

    /// What the rest is called. A value that is called so too counts there, and takes no place.
    package static let other = "other"
    private static let version: UInt8 = 1

    /// Values by the hash of the dimension's name.
    private var dimensions: [UInt64: SortedHashes] = [:]

    package init() {}

    /// Decides where a value counts, and remembers it. A value that Postgres cannot keep (it has a zero byte) or that is
    /// too long is `other`, and so is one whose dimension has no place left.
    ///
    /// A limit that was lowered keeps what has windows already; one that was raised lets more in.
    package mutating func admit(_ value: String, dimension: String, limits: Limits) -> Answer {
        guard value.utf8.count <= limits.bytes, value != Self.other, !value.utf8.contains(0) else { return .other }
        let name = StableHash.of(dimension)
        let hash = StableHash.of(value)
        let values = dimensions[name]
        if let values, values.contains(hash) { return .known }
        if let values, values.count >= limits.values { return .other }
        if values == nil, dimensions.count >= limits.dimensions || limits.values <= 0 { return .other }
        dimensions[name, default: SortedHashes()].insert(hash)
        return .new
    }

    /// Takes over what another one has let in, also beyond a limit: what has windows keeps them.
    package mutating func formUnion(_ other: CardinalityGuard) {
        for (name, values) in other.dimensions { dimensions[name, default: SortedHashes()].formUnion(values) }
    }

    /// How many values of a dimension have windows of their own.
    package func count(of dimension: String) -> Int { dimensions[StableHash.of(dimension)]?.count ?? 0 }

    /// About how much memory it takes.
    var memory: Int { dimensions.values.reduce(100) { $0 + 100 + 8 * $1.count } }

    // MARK: Storing

    /// The same bytes for the same values, in whatever order they came.
    package var stored: [UInt8] {
        let values = dimensions.values.reduce(0) { $0 + $1.count }
        var writer = SealedWriter(.dimensions, version: Self.version, capacity: 4 + 12 * dimensions.count + 8 * values)
        writer.put(number: UInt64(dimensions.count))
        for (name, values) in dimensions.sorted(by: { $0.key < $1.key }) {
            writer.put(words: [name])
            values.write(to: &writer)
        }
        return writer.sealed()
    }

    package init(stored bytes: [UInt8]) throws(SketchFault) {
        var reader = try SealedReader(.dimensions, version: Self.version, bytes)
        var last: UInt64?
        for _ in 0..<(try reader.number()) {
            guard let name = try reader.words(1).first, last.map({ $0 < name }) ?? true else { throw .damaged }
            last = name
            dimensions[name] = try SortedHashes(from: &reader, limit: .max)
        }
        try reader.finish()
    }
}
