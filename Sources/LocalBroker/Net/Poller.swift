internal import CLinux
internal import Glibc
internal import Platform

/// epoll: tells the one loop thread which of its file descriptors can go on. Level-triggered, so that a connection
/// whose turn was cut short for fairness is simply told again.
final class Poller {
    typealias Event = flotilla_event

    private let epoll: Int32
    private var events = [Event](repeating: Event(), count: 256)

    init() throws(SystemError) {
        epoll = flotilla_epoll_create()
        guard epoll >= 0 else { throw SystemError.last("epoll_create") }
    }

    deinit { close(epoll) }

    func add(_ descriptor: Int32, token: UInt64, readable: Bool = true, writable: Bool = false) throws(SystemError) {
        guard flotilla_epoll_add(epoll, descriptor, token, readable, writable) == 0 else {
            throw SystemError.last("epoll_ctl")
        }
    }

    func change(_ descriptor: Int32, token: UInt64, readable: Bool, writable: Bool) {
        // Cannot fail for a descriptor that was added and is still open, which its owner sees to.
        _ = flotilla_epoll_change(epoll, descriptor, token, readable, writable)
    }

    func remove(_ descriptor: Int32) {
        _ = flotilla_epoll_remove(epoll, descriptor)
    }

    /// Sleeps until something can go on or the time is over, then hands over each event.
    func wait(milliseconds: Int32, _ body: (Event) -> Void) throws(SystemError) {
        let count = unsafe flotilla_epoll_wait(epoll, &events, Int32(events.count), milliseconds)
        guard count >= 0 else { throw SystemError.last("epoll_wait") }
        for index in 0..<Int(count) { body(events[index]) }
    }
}
