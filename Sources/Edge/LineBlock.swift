internal import JSON

/// Lines that are parsed together, as one array: a parse has a price of its own, which is more than a line's.
///
/// Whether each line is a value by itself is told by where the values begin and end. From the first one on that is not,
/// and where the whole is no JSON at all, lines are to be parsed one by one.
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

    /// Whether the value that is written there is all that the line of that place has.
    func holds(_ range: Range<Int>, _ place: Int) -> Bool {
        let line = ranges[place]
        guard range.lowerBound >= line.lowerBound, range.upperBound <= line.upperBound else { return false }
        return isBlank(line.lowerBound..<range.lowerBound) && isBlank(range.upperBound..<line.upperBound)
    }

    private func isBlank(_ range: Range<Int>) -> Bool {
        text[range].allSatisfy { $0 == 32 || $0 == 9 || $0 == 13 }
    }

    func withLine(_ place: Int, _ body: (RawSpan) -> Void) { unsafe body(text.span.bytes.extracting(ranges[place])) }

    mutating func removeAll() {
        text.removeAll(keepingCapacity: true)
        lines.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
    }
}
