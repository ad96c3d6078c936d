package import Platform

/// A stretch of event time: one minute, hour or day of UTC, its start within and its end without.
///
/// Days of UTC all have 86 400 seconds as Unix counts them, and 1970 began with a minute, an hour and a day; so windows
/// are multiples, also before 1970.
package struct Window: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let step: Step
    /// Milliseconds since 1970.
    package let start: Int64

    /// The times that have windows: the years 0000 to 9999, which RFC 3339 can write. Whole days, so that each window lies
    /// within, and far enough from the ends of the number range that nobody has to think of overflow behind this.
    package static let times: Range<Int64> = -62_167_219_200_000..<253_402_300_800_000

    /// The window that a time belongs to; nil when no calendar of four digits has that time.
    package init?(_ step: Step, containing milliseconds: Int64) {
        guard Self.times.contains(milliseconds) else { return nil }
        let rest = milliseconds % step.milliseconds
        self.step = step
        start = milliseconds - (rest < 0 ? rest + step.milliseconds : rest)
    }

    /// All windows that a time belongs to, the shortest first; none when no calendar of four digits has that time.
    package static func all(containing milliseconds: Int64) -> [Window] {
        Step.allCases.compactMap { Window($0, containing: milliseconds) }
    }

    package var end: Int64 { start + step.milliseconds }

    package var startTime: Timestamp { Timestamp(milliseconds: start) }

    package func contains(_ milliseconds: Int64) -> Bool { start <= milliseconds && milliseconds < end }

    /// In the order in which they close; of those that end together the shortest first.
    package static func < (left: Window, right: Window) -> Bool {
        left.end == right.end ? left.step < right.step : left.end < right.end
    }

    /// What it is called in ids of outputs: `1h/2026-05-04T03:00:00.000Z`.
    package var description: String { "\(step.rawValue)/\(startTime)" }
}
