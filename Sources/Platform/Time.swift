internal import CLinux

/// The machine's clocks as integers. What decides by time takes it as a parameter; only the outermost loop asks here.
public enum Time {
    /// Nanoseconds that never go backwards; their zero means nothing.
    public static var monotonicNanoseconds: Int64 { flotilla_monotonic_nanoseconds() }

    public static var monotonicMilliseconds: Int64 { flotilla_monotonic_nanoseconds() / 1_000_000 }

    /// Nanoseconds since 1970.
    public static var wallNanoseconds: Int64 { flotilla_wall_nanoseconds() }

    /// Milliseconds since 1970, as Kafka's timestamps count.
    public static var wallMilliseconds: Int64 { flotilla_wall_nanoseconds() / 1_000_000 }
}

extension Duration {
    /// Whole milliseconds, rounded up so that a short wait is not none; at the ends of the range it stays there.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds < 0 ? .min : .max }
        let (total, tooMuch) = whole.addingReportingOverflow(
            attoseconds / 1_000_000_000_000_000 + (attoseconds % 1_000_000_000_000_000 > 0 ? 1 : 0))
        if tooMuch { return seconds < 0 ? .min : .max }
        return total
    }

    /// Milliseconds to wait: never below zero, which C would take for ever, and so few that a clock can be added.
    package var patience: Int64 { min(max(0, milliseconds), Int64(Int32.max)) }
}
