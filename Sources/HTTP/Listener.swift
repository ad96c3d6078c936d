internal import CLinux
internal import Glibc
internal import Platform
internal import Synchronization

/// Where a server is reached.
///
/// libmicrohttpd could listen by itself, but not leave off in peace: whoever tells it to and its own threads all take the
/// socket out of what these wait for, and for the second one to try the library ends the process.
@safe final class Listener: Sendable {
    let port: UInt16
    /// -1 once it is closed. What is taken in is handed over under the lock, so that nobody comes after the closing.
    private let socket: Mutex<Int32>

    init(_ host: String, _ port: UInt16) throws(HTTPFault) {
        var bound: UInt16 = 0
        let socket = unsafe flotilla_listen(HostName.resolvable(host), "\(port)", &bound)
        guard socket >= 0 else {
            let place = "\(host):\(port)"
            if socket == -2 { throw HTTPFault("cannot listen on \(place): the host has no address") }
            throw HTTPFault(
                errno == EADDRINUSE
                    ? "cannot listen on \(place): another process does; stop it, or choose another port"
                    : "cannot listen on \(place): \(SystemError.last("bind"))")
        }
        self.port = bound
        self.socket = Mutex(socket)
    }

    deinit { close() }

    /// Whoever comes from now on is refused, once nobody sleeps in `wait` any more: the bell is to be rung.
    func close() {
        socket.withLock { socket in
            if socket >= 0 { Glibc.close(socket) }
            socket = -1
        }
    }

    /// Sleeps until somebody comes, the bell rings or the time is over.
    func wait(_ bell: Doorbell, milliseconds: Int64) {
        // poll(2) leaves out what is negative. A number that was closed meanwhile wakes it for nothing, once: closing
        // rings the bell.
        var places = [
            pollfd(fd: socket.withLock { $0 }, events: Int16(POLLIN), revents: 0),
            pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        unsafe poll(&places, nfds_t(places.count), Int32(clamping: max(0, milliseconds)))
        if places[1].revents != 0 { bell.silence() }
    }

    /// Takes some of who waits. False when they cannot be taken in, as without a descriptor left.
    func take(_ hand: (Int32) -> Void) -> Bool {
        for _ in 0..<Self.atOnce {
            let taken: Int32? = socket.withLock { listener in
                guard listener >= 0 else { return nil }
                let taken = flotilla_accept(listener)
                guard taken >= 0 else { return -errno }
                hand(taken)
                return taken
            }
            guard let taken else { return true }
            guard taken < 0 else { continue }
            switch -taken {
            case EAGAIN: return true
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return false
            // The peer's fault, or a signal's: the next one may do better.
            case _: continue
            }
        }
        return true
    }

    /// More than this wait until deadlines have been looked at.
    private static let atOnce = 256
}
