internal import Glibc

/// The machine's clocks as integers. What decides by time takes it as a parameter; only the outermost loop asks here.
public enum Time {
    /// Nanoseconds that never go backwards; their zero means nothing.
    public static var monotonicNanoseconds: Int64 { now(CLOCK_MONOTONIC) }

    public static var monotonicMilliseconds: Int64 { now(CLOCK_MONOTONIC) / 1_000_000 }

    /// Milliseconds since 1970, as Kafka's timestamps count.
    public static var wallMilliseconds: Int64 { now(CLOCK_REALTIME) / 1_000_000 }

    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
