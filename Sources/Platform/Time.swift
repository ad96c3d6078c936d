internal import CLinux

/// The machine's clocks as integers. What decides by time takes it as a parameter; only the outermost loop asks here.
public enum Time {
    /// Nanoseconds that never go backwards; their zero means nothing.
    public static var monotonicNanoseconds: Int64 { flotilla_monotonic_nanoseconds() }

    public static var monotonicMilliseconds: Int64 { flotilla_monotonic_nanoseconds() / 1_000_000 }

    /// Milliseconds since 1970, as Kafka's timestamps count.
    public static var wallMilliseconds: Int64 { flotilla_wall_nanoseconds() / 1_000_000 }
}
