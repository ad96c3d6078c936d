/// Finds what someone may have meant.
package enum Nearest {
    /// The known name that is the fewest changes away from a wrong one; nil when none is near.
    package static func name(to wrong: String, in known: some Sequence<String>) -> String? {
        if wrong.utf8.count > 2, let longer = known.first(where: { $0.hasPrefix(wrong) }) { return longer }
        let limit = max(1, wrong.utf8.count / 3)
        var best: (name: String, distance: Int)?
        for name in known {
            let distance = distance(Array(wrong.lowercased().utf8.prefix(64)), Array(name.lowercased().utf8.prefix(64)))
            if distance <= limit, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    /// `; did you mean "x"?` or what there is, to end a sentence with.
    package static func hint(_ wrong: String, _ known: [String]) -> String {
        if let name = name(to: wrong, in: known) { return "did you mean \(name)?" }
        return "known are \(known.joined(separator: ", "))"
    }

    /// How many bytes have to be put in, left out or changed.
    private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var row = Array(0...other.count)
        for (index, byte) in one.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (position, wanted) in other.enumerated() {
                let above = row[position + 1]
                row[position + 1] = byte == wanted ? diagonal : 1 + min(diagonal, min(above, row[position]))
                diagonal = above
            }
        }
        return row[other.count]
    }
}
