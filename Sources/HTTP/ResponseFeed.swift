internal import CMicrohttpd
internal import Platform
internal import Synchronization

/// The body of an answer that goes on for as long as somebody writes to it and somebody listens, as server-sent events do.
///
/// The library asks for more on the server's thread. When there is nothing its connection is suspended, and who writes
/// next resumes it: the same order as in `Exchange`, kept by one lock. Suspending happens with the lock held, so that
/// nobody resumes a connection that is not suspended yet; resuming happens without, and `isWaking` says that somebody is
/// at it, because the server may not end meanwhile. While a connection is suspended it cannot go away.
///
/// A client that has gone is noticed when something is written to it: whoever keeps a feed writes now and then.
package final class ResponseFeed: Sendable {
    private let state = Mutex(State())
    private let limit: Int

    private struct State {
        var waiting: [UInt8] = []
        /// How much of it the library has.
        var taken = 0
        var isFinished = false
        /// Nobody listens any more.
        var isOver = false
        var suspended: FeedLink?
        var isWaking = false
    }

    /// Of what the client has not read yet, so much is kept.
    package init(limit: Int = 1 << 20) { self.limit = limit }

    /// Says something more. False when it is in vain: nobody listens, or they read too slowly, and then it ends.
    @discardableResult package func write(_ bytes: [UInt8]) -> Bool {
        change { state in
            guard !state.isOver, !state.isFinished else { return false }
            guard state.waiting.count - state.taken + bytes.count <= limit else {
                state.isFinished = true
                return false
            }
            state.waiting += bytes
            return true
        }
    }

    /// That was all.
    package func finish() {
        _ = change { state in
            state.isFinished = true
            return true
        }
    }

    /// Whether nobody listens any more.
    package var isOver: Bool { state.withLock { $0.isOver } }

    private func change(_ body: (inout State) -> Bool) -> Bool {
        let (result, link) = state.withLock { state in
            let result = body(&state)
            let link = state.suspended.take()
            if link != nil { state.isWaking = true }
            return (result, link)
        }
        if let link {
            link.resume()
            state.withLock { $0.isWaking = false }
        }
        return result
    }

    // MARK: For the server

    var isWaking: Bool { state.withLock { $0.isWaking } }

    /// The request is over.
    func end() {
        state.withLock { state in
            state.isOver = true
            (state.waiting, state.taken) = ([], 0)
        }
    }

    /// Puts what waits into the library's memory: how much that was, or nil when nothing more comes. With nothing there
    /// yet the connection is suspended.
    func read(into room: UnsafeMutableRawBufferPointer, _ link: FeedLink) -> Int? {
        state.withLock { state in
            let count = min(room.count, state.waiting.count - state.taken)
            guard count > 0 else {
                if state.isFinished || link.isGivingUp { return nil }
                link.suspend()
                state.suspended = link
                return 0
            }
            unsafe room.copyBytes(from: state.waiting[state.taken..<state.taken + count])
            state.taken += count
            if state.taken == state.waiting.count {
                state.waiting.removeAll(keepingCapacity: state.waiting.count < 1 << 16)
                state.taken = 0
            }
            link.expectReader()
            return count
        }
    }
}

/// A feed and the connection that it goes out on.
@safe final class FeedLink: @unchecked Sendable {
    // Unchecked: `native` is used by the server's thread, or by whoever took the link out of `suspended`, while the
    // connection cannot go away. The core outlives its connections.
    private let feed: ResponseFeed
    private let native: OpaquePointer
    private let connection: Connection
    private unowned let core: ServerCore

    @safe init(_ feed: ResponseFeed, _ native: OpaquePointer, _ connection: Connection, _ core: ServerCore) {
        self.feed = feed
        unsafe self.native = native
        self.connection = connection
        self.core = core
    }

    var isGivingUp: Bool { core.isGivingUp.load(ordering: .sequentiallyConsistent) }

    func suspend() {
        connection.deadline.store(0, ordering: .relaxed)
        unsafe MHD_suspend_connection(native)
    }

    func resume() { unsafe connection.thread.resume(native) }

    /// What is given to the library is to be read in time.
    func expectReader() {
        connection.deadline.store(Time.monotonicMilliseconds + core.patience.send, ordering: .relaxed)
    }

    /// A message of the library whose body is the feed's.
    func message() -> OpaquePointer? {
        let context = unsafe Unmanaged.passRetained(self)
        let message = unsafe MHD_create_response_from_callback(
            .max, 16 << 10, FeedLink.read, context.toOpaque(), FeedLink.free)
        if unsafe message == nil { unsafe context.release() }
        return unsafe message
    }

    private static let read: MHD_ContentReaderCallback = { context, _, room, count in
        guard let context = unsafe context else { return -1 }
        let link = unsafe Unmanaged<FeedLink>.fromOpaque(context).takeUnretainedValue()
        let buffer = unsafe UnsafeMutableRawBufferPointer(start: room, count: count)
        // -1 is the end.
        return unsafe link.feed.read(into: buffer, link) ?? -1
    }

    private static let free: MHD_ContentReaderFreeCallback = { context in
        if let context = unsafe context { unsafe Unmanaged<FeedLink>.fromOpaque(context).release() }
    }
}
