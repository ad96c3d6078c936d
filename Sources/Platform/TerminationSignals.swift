internal import CLinux
internal import Glibc

/// SIGINT and SIGTERM as something the main thread waits for.
///
/// `block()` comes first in `main`, before any thread starts, so that every thread inherits the mask and only
/// `wait()` takes the signals.
public enum TerminationSignals {
    public static func block() {
        var signals = set
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        // A peer that hangs up is an error code of write(2), not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Returns the number of the first signal that arrives.
    public static func wait() -> Int32 {
        var signals = set
        var received: Int32 = 0
        while unsafe sigwait(&signals, &received) != 0 {}
        return received
    }

    /// The same, or nil when none has arrived in that time.
    public static func wait(within limit: Duration) -> Int32? {
        let received = flotilla_wait_for_end(Int32(clamping: limit.milliseconds))
        return received > 0 ? received : nil
    }

    /// Ends a `wait()` from within the process.
    public static func raise() {
        kill(getpid(), SIGTERM)
    }

    private static var set: sigset_t {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGINT)
        unsafe sigaddset(&signals, SIGTERM)
        return signals
    }
}
