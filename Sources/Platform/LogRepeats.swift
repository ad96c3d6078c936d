internal import Synchronization

/// Which warnings and errors are left out because the same was said so often lately.
///
/// Messages are constant, so what has the same message says the same, about one thing or another: of each message some
/// lines pass in a window of time, the rest is counted. The count is told by a line of its own, once the window is over and
/// anything at all is logged, or when the process ends. There are as many counts as messages in the program.
public final class LogRepeats: Sendable {
    private let burst: Int
    private let window: Int64
    private let clock: @Sendable () -> Int64
    private let entries = Mutex<[Key: Entry]>([:])
    /// When the first window ends in which something was left out: until then nobody has to look.
    private let nextLook = Atomic<Int64>(.max)

    private struct Key: Hashable {
        let level: Log.Level
        let message: UInt
    }

    private struct Entry {
        let message: StaticString
        var since: Int64
        var passed = 0
        var leftOut = 0
    }

    /// `burst` lines of a message pass in each `window`; `clock` is in milliseconds.
    public init(
        burst: Int = 20, window: Duration = .seconds(10),
        clock: @escaping @Sendable () -> Int64 = { Time.monotonicMilliseconds }
    ) {
        self.burst = burst
        self.window = window.milliseconds
        self.clock = clock
    }

    /// Whether the line is to be written; it is counted when not.
    func passes(_ level: Log.Level, _ message: StaticString) -> Bool {
        let now = clock()
        return entries.withLock { entries in
            var entry = entries[Self.key(level, message)] ?? Entry(message: message, since: now)
            defer { entries[Self.key(level, message)] = entry }
            if now - entry.since >= window { (entry.since, entry.passed) = (now, 0) }
            guard entry.passed < burst else {
                entry.leftOut += 1
                nextLook.min(entry.since + window, ordering: .relaxed)
                return false
            }
            entry.passed += 1
            return true
        }
    }

    /// What was left out in windows that are over and nobody has told of.
    func takeOld() -> [(level: Log.Level, message: StaticString, count: Int)] {
        guard nextLook.load(ordering: .relaxed) < .max else { return [] }
        let now = clock()
        guard nextLook.load(ordering: .relaxed) <= now else { return [] }
        return take { now - $0.since >= self.window }
    }

    /// The same, however long ago.
    func takeAll() -> [(level: Log.Level, message: StaticString, count: Int)] { take { _ in true } }

    private func take(_ isDue: (Entry) -> Bool) -> [(level: Log.Level, message: StaticString, count: Int)] {
        entries.withLock { entries in
            var taken: [(level: Log.Level, message: StaticString, count: Int)] = []
            var next = Int64.max
            for (key, entry) in entries where entry.leftOut > 0 {
                if isDue(entry) {
                    taken.append((key.level, entry.message, entry.leftOut))
                    entries[key]?.leftOut = 0
                } else {
                    next = min(next, entry.since + window)
                }
            }
            nextLook.store(next, ordering: .relaxed)
            return taken
        }
    }

    /// A message is a literal: its place in the program tells it from all others.
    private static func key(_ level: Log.Level, _ message: StaticString) -> Key {
        let address = message.hasPointerRepresentation ? unsafe UInt(bitPattern: message.utf8Start) : 0
        return Key(level: level, message: address)
    }
}
