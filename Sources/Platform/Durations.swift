internal import Synchronization

/// How long something took, again and again: how often within each of some bounds, and how long in all.
///
/// The bounds are those that OpenTelemetry advises for the handling of messages and requests, with one below for what
/// takes less than a millisecond and one above.
package final class Durations: Sendable {
    /// Milliseconds; what takes as long as a bound is within it.
    package static let bounds: [Int64] = [
        1, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000, 30_000,
    ]

    private let counts = InlineArray<17, Atomic<Int>> { _ in Atomic(0) }
    private let nanoseconds = Atomic<Int64>(0)

    package init() {}

    package func note(milliseconds: Int64, nanoseconds: Int64) {
        counts[Self.place(of: milliseconds)].add(1, ordering: .relaxed)
        self.nanoseconds.add(nanoseconds, ordering: .relaxed)
    }

    package func note(milliseconds: Int64) { note(milliseconds: milliseconds, nanoseconds: milliseconds * 1_000_000) }

    /// Adds what somebody noted for themselves.
    package func add(_ tally: borrowing Tally) {
        for place in tally.counts.indices where tally.counts[place] > 0 {
            counts[place].add(tally.counts[place], ordering: .relaxed)
        }
        nanoseconds.add(tally.nanoseconds, ordering: .relaxed)
    }

    /// Most take little.
    private static func place(of milliseconds: Int64) -> Int {
        var place = 0
        while place < bounds.count, milliseconds > bounds[place] { place += 1 }
        return place
    }

    package var seconds: Double { Double(nanoseconds.load(ordering: .relaxed)) / 1e9 }

    /// One more than there are bounds.
    package var all: [Int] { counts.indices.map { counts[$0].load(ordering: .relaxed) } }

    /// What one task notes for itself, to be added at once.
    package struct Tally: Sendable {
        fileprivate(set) var counts = InlineArray<17, Int>(repeating: 0)
        /// In all.
        package var nanoseconds: Int64 = 0

        package init() {}

        package mutating func note(milliseconds: Int64) { counts[Durations.place(of: milliseconds)] += 1 }
    }
}
