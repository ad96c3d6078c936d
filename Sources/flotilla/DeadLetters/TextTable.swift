internal import Glibc

/// Rows in columns, for people. What is in them may come from strangers.
struct TextTable {
    private var rows: [[String]]
    private let rightColumns: Set<Int>

    init(_ titles: [String], right: Set<Int> = []) {
        rows = [titles]
        rightColumns = right
    }

    mutating func add(_ cells: [String]) { rows.append(cells.map { Harmless.line($0) }) }

    /// On a terminal no line is longer than that is wide.
    var text: String {
        let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let width = Self.terminalWidth
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
                line += column == 0 ? "" : "  "
                line += rightColumns.contains(column) ? space + cell : column == row.count - 1 ? cell : cell + space
            }
            guard let width, line.count > width else { return line }
            return line.prefix(max(0, width - 1)) + "…"
        }.joined(separator: "\n")
    }

    private static var terminalWidth: Int? {
        guard isatty(1) == 1 else { return nil }
        var size = winsize()
        guard unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return nil }
        return Int(size.ws_col)
    }
}

/// Texts of strangers on a terminal: nothing in them moves its cursor, colours it, or turns the line around.
enum Harmless {
    static func line(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { isHarmful($0) ? "\u{fffd}" : $0 }))
    }

    /// The same, and its line breaks stay.
    static func text(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line(String($0)) }.joined(separator: "\n")
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Control characters, and those that turn the direction of writing.
        case 0..<0x20, 0x7f...0x9f, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: true
        case _: false
        }
    }
}
