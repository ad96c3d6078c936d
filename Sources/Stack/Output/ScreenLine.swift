/// A line of a process as a person sees it: its name in a colour, then what it said.
package enum ScreenLine {
    /// As they are told apart on a dark and on a bright ground.
    private static let colours = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94]

    package static func text(_ name: String, _ line: String, width: Int, isColoured: Bool) -> String {
        let padded = name + String(repeating: " ", count: max(0, width - name.utf8.count))
        let shown = isColoured ? "\u{1b}[\(colour(of: name))m\(padded) |\u{1b}[0m " : "\(padded) | "
        return shown + printable(line)
    }

    /// The same for all workers of a handler.
    static func colour(of name: String) -> Int {
        var stem = name[...]
        if let dash = name.lastIndex(of: "-"), Int(name[name.index(after: dash)...]) != nil { stem = name[..<dash] }
        return colours[stem.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff } % colours.count]
    }

    /// What a process says must not move the cursor, nor end as something else than it began.
    static func printable(_ line: String) -> String {
        guard line.unicodeScalars.contains(where: isControl) else { return line }
        return String(String.UnicodeScalarView(line.unicodeScalars.map { isControl($0) ? "\u{fffd}" : $0 }))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar != "\t" && (scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value))
    }
}
