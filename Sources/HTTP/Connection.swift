internal import CLinux
internal import Glibc
internal import Platform
internal import Synchronization

/// A connection as the keeper sees it.
final class Connection: Sendable {
    /// Who serves it.
    let thread: ServingThread
    let socket: Int32
    /// When it is cut off, by the monotonic clock in milliseconds; 0 is never: it is ours to act.
    let deadline: Atomic<Int64>
    /// The request that is under way.
    let exchange = Mutex<Exchange?>(nil)

    init(_ thread: ServingThread, socket: Int32, deadline: Int64) {
        self.thread = thread
        self.socket = socket
        self.deadline = Atomic(deadline)
    }
}

/// The open connections, and when the patience with each ends.
///
/// libmicrohttpd counts idle time from the last byte, so that a byte a second keeps a connection for ever. Here a
/// deadline stands from the start of waiting, whatever trickles in. What is late is shut down with shutdown(2), and the
/// server's thread sees its end. A connection leaves the table before its descriptor is closed, and both that and the
/// shutdown happen under the lock, so that no other connection is hit that got the same number.
final class ConnectionTable: Sendable {
    private let open = Mutex<[ObjectIdentifier: Connection]>([:])

    func add(_ connection: Connection) {
        open.withLock { $0[ObjectIdentifier(connection)] = connection }
    }

    func remove(_ connection: Connection) {
        _ = open.withLock { $0.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    var count: Int { open.withLock { $0.count } }

    /// The requests under way.
    var exchanges: [Exchange] {
        open.withLock { Array($0.values) }.compactMap { connection in connection.exchange.withLock { $0 } }
    }

    /// Has nobody be heard any more; what is being sent still goes out.
    func endInput() {
        open.withLock { open in
            for connection in open.values { shutdown(connection.socket, Int32(SHUT_RD)) }
        }
    }

    /// Has those read once more which wait for a peer that has said that nothing more comes.
    ///
    /// libmicrohttpd takes a short read for all that there is and asks epoll for what changes after it, so it misses an
    /// end that came together with the bytes, and the peer would wait for ours until its time is over. To end the input of
    /// such a socket again changes nothing but that epoll tells of it, after all that is still to be read.
    func remindOfEnds() {
        let waiting = open.withLock { Array($0.values) }.filter { $0.deadline.load(ordering: .relaxed) != 0 }
        guard !waiting.isEmpty else { return }
        var places = waiting.map { pollfd(fd: $0.socket, events: flotilla_end_of_input, revents: 0) }
        // Descriptors may have been closed since, and be others' by now: the answer is only who to look at.
        guard unsafe poll(&places, nfds_t(places.count), 0) > 0 else { return }
        for (connection, place) in zip(waiting, places) where place.revents & flotilla_end_of_input != 0 {
            open.withLock { open in
                guard open[ObjectIdentifier(connection)] != nil else { return }
                var place = pollfd(fd: connection.socket, events: flotilla_end_of_input, revents: 0)
                guard unsafe poll(&place, 1, 0) == 1 else { return }
                shutdown(connection.socket, Int32(SHUT_RD))
            }
        }
    }

    /// Cuts off what is late. Returns how many.
    func cutOff(now: Int64) -> Int {
        open.withLock { open in
            var count = 0
            for connection in open.values {
                let deadline = connection.deadline.load(ordering: .relaxed)
                guard deadline != 0, deadline <= now else { continue }
                connection.deadline.store(0, ordering: .relaxed)
                shutdown(connection.socket, Int32(SHUT_RDWR))
                count += 1
            }
            return count
        }
    }
}
