internal import CLinux
internal import Glibc

/// Wakes a thread that sleeps in poll(2) or epoll. Ringing twice before it wakes is ringing once.
public final class Doorbell: Sendable {
    /// Readable while the bell has rung and was not yet silenced.
    public let fileDescriptor: Int32

    public init() throws(SystemError) {
        fileDescriptor = flotilla_eventfd()
        guard fileDescriptor >= 0 else { throw SystemError.last("eventfd") }
    }

    deinit { close(fileDescriptor) }

    /// Callable from any thread, and from C.
    public func ring() {
        var one: UInt64 = 1
        // Fails only when the counter is full, and then the bell has rung anyway.
        _ = unsafe write(fileDescriptor, &one, 8)
    }

    /// To be called by the woken thread before it looks at what it was woken for.
    public func silence() {
        var count: UInt64 = 0
        _ = unsafe read(fileDescriptor, &count, 8)
    }
}
