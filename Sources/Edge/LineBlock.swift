internal import JSON

/// Lines that are parsed together, as one array: a parse has a price of its own, which is more than a line's.
///
/// Whether each line is a value by itself is told by where the values begin and end. Where one is not, and where the
/// whole is no JSON at all, lines are to be parsed one by one.
struct LineBlock {
    /// `[line,line,`
    private(set) var text: [UInt8] = []
    /// The numbers of the lines.
    private(set) var lines: [Int] = []
    private var ranges: [Range<Int>] = []

    var isEmpty: Bool { lines.isEmpty }
    var count: Int { lines.count }

    mutating func append(_ line: RawSpan, _ number: Int) {
        text.append(text.isEmpty ? UInt8(ascii: "[") : UInt8(ascii: ","))
        let start = text.count
        unsafe line.withUnsafeBytes { unsafe text.append(contentsOf: $0) }
        ranges.append(start..<text.count)
        lines.append(number)
    }

    /// All lines as one array; nil when they are none.
    var parsed: JSONDocument? {
        mutating get {
            text.append(UInt8(ascii: "]"))
            defer { text.removeLast() }
            return try? JSONDocument(parsing: text)
        }
    }

    /// Whether a value lies within the line of that place.
    func holds(_ value: JSONValue, _ place: Int) -> Bool {
        let range = value.sourceRange
        return range.lowerBound >= ranges[place].lowerBound && range.upperBound <= ranges[place].upperBound
    }

    func withLine(_ place: Int, _ body: (RawSpan) -> Void) { unsafe body(text.span.bytes.extracting(ranges[place])) }

    mutating func removeAll() {
        text.removeAll(keepingCapacity: true)
        lines.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
    }
}
