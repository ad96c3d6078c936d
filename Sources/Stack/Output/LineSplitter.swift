/// Makes lines of what comes in pieces. A line that does not end is cut where it becomes too long.
struct LineSplitter: Sendable {
    static let longest = 16 << 10

    private var pending: [UInt8] = []

    /// The lines that are complete now, without what ends them.
    mutating func take(_ bytes: some Collection<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(finish())
            } else {
                pending.append(byte)
                if pending.count >= Self.longest { lines.append(finish()) }
            }
        }
        return lines
    }

    /// What is left when no more comes; nil when nothing is.
    mutating func rest() -> String? { pending.isEmpty ? nil : finish() }

    private mutating func finish() -> String {
        defer { pending.removeAll(keepingCapacity: true) }
        if pending.last == UInt8(ascii: "\r") { pending.removeLast() }
        return String(decoding: pending, as: UTF8.self)
    }
}
