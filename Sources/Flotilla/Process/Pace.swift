internal import Glibc
package import Model

/// How fast a process works, from one heartbeat to the next.
package struct Pace: Sendable {
    private var last: (at: Int64, done: [HandlerName: Int], processor: Double)?

    /// Events a second of each handler.
    package private(set) var rates: [HandlerName: Double] = [:]
    /// How much of a core the process uses.
    package private(set) var cores = 0.0

    package init() {}

    /// Notes what was done up to now, in milliseconds, and how many seconds of a core that took.
    package mutating func note(_ now: Int64, done: [HandlerName: Int], processor: Double) {
        defer { last = (now, done, processor) }
        guard let last, now > last.at else { return }
        let seconds = Double(now - last.at) / 1000
        rates = done.reduce(into: [:]) { rates, one in
            rates[one.key] = Double(max(0, one.value - (last.done[one.key] ?? 0))) / seconds
        }
        cores = max(0, processor - last.processor) / seconds
    }

    package mutating func note(_ now: Int64, done: [HandlerName: Int]) {
        note(now, done: done, processor: Self.processor)
    }

    /// POSIX counts it in microseconds; -1 is that nobody knows.
    private static var processor: Double { Double(max(0, clock())) / 1e6 }
}
