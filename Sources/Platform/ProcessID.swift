internal import Glibc

/// A process of this machine: its number, and when it began, because numbers are given out again.
public struct ProcessID: Hashable, Sendable {
    public let number: Int32
    /// Clock ticks since the machine started.
    public let began: UInt64

    public init(number: Int32, began: UInt64) {
        self.number = number
        self.began = began
    }

    /// One that runs now.
    public init(running number: Int32) { self.init(number: number, began: Self.beginning(of: number) ?? 0) }

    public static var mine: ProcessID { ProcessID(running: getpid()) }

    /// Whether it still runs. One that has ended and that nobody has asked for counts as gone.
    public var isRunning: Bool { number > 0 && Self.beginning(of: number) == began }

    public func signal(_ signal: Int32) { if isRunning { kill(number, signal) } }

    private static func beginning(of pid: Int32) -> UInt64? {
        guard let bytes = try? Files.read("/proc/\(pid)/stat", limit: 4096) else { return nil }
        // The name of the program, in brackets, may have anything in it.
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}
