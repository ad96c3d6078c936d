internal import CMicrohttpd
internal import Glibc
internal import Platform
internal import Synchronization

/// A thread that serves the connections which it is given: libmicrohttpd's work in a loop of ours.
///
/// The library's own loop reads 128 events at a time, and having got as many it waits for the next one before it handles
/// any: when all clients wait for their answers, they wait for ever. Run from outside it never waits. What is to be done
/// for a connection from elsewhere is left here as an errand, and the bell rings once for as many as come while it sleeps.
@safe final class ServingThread: @unchecked Sendable {
    // Unchecked: `daemon` is used by the thread, and by `close` when that has ended; `thread` is written before anybody
    // else has this, and the rest by `init`.
    /// It ends its threads before it goes. Whoever keeps an exchange keeps its thread, and need not keep a server.
    unowned let core: ServerCore
    private var daemon: OpaquePointer?
    /// The library looks into them for as long as it lives.
    private let options: UnsafeMutablePointer<flotilla_http_options>
    private let bell: Doorbell
    private let inbox = Mutex(Inbox())
    private let isEnding = Atomic<Bool>(false)
    private var thread: OSThread?

    private struct Inbox: Sendable {
        var errands: [Errand] = []
        /// Whether the next errand is to ring: a thread that is at work looks here before it sleeps.
        var isAsleep = false
    }

    private enum Errand: Sendable {
        /// A connection that nobody serves yet.
        case serve(Int32)
        /// One of the library's that is to go on, by its address.
        case resume(UInt)
    }

    @safe init(_ core: ServerCore, _ wanted: flotilla_http_options) throws(HTTPFault) {
        self.core = core
        do throws(SystemError) { bell = try Doorbell() } catch { throw HTTPFault("\(error)") }
        unsafe options = .allocate(capacity: 1)
        unsafe options.initialize(to: wanted)
        unsafe options.pointee.context = Unmanaged.passUnretained(self).toOpaque()
        unsafe options.pointee.access = Callbacks.access
        unsafe options.pointee.completed = Callbacks.completed
        unsafe options.pointee.connection = Callbacks.connection
        unsafe daemon = flotilla_http_start(options)
        guard unsafe daemon != nil else {
            let complaint = unsafe withUnsafePointer(to: &options.pointee.complaint) { text in
                unsafe text.withMemoryRebound(to: CChar.self, capacity: 512) { unsafe String(cString: $0) }
            }
            throw HTTPFault(complaint.split(separator: "\n").first.map(String.init) ?? "the library does not say why")
        }
    }

    deinit { unsafe options.deallocate() }

    func start() throws(SystemError) { thread = try OSThread(name: "http") { [unowned self] in serve() } }

    // MARK: From other threads

    /// Serves a connection.
    func take(_ socket: Int32) { leave(.serve(socket)) }

    /// Has a connection go on that is suspended, and which therefore cannot go away.
    func resume(_ native: OpaquePointer) { leave(.resume(UInt(bitPattern: native))) }

    private func leave(_ errand: Errand) {
        let mustRing = inbox.withLock { inbox in
            inbox.errands.append(errand)
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustRing { bell.ring() }
    }

    /// Does what was left, and no more.
    func end() {
        isEnding.store(true, ordering: .sequentiallyConsistent)
        bell.ring()
    }

    /// Closes what is still open. Nothing may be suspended.
    func close() {
        thread?.join()
        unsafe MHD_stop_daemon(daemon)
        unsafe daemon = nil
    }

    // MARK: On the thread

    private func serve() {
        var places = [
            pollfd(fd: unsafe flotilla_http_epoll(daemon), events: Int16(POLLIN), revents: 0),
            pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        var errands: [Errand] = []
        while true {
            let patience = unsafe flotilla_http_patience(daemon)
            if patience != 0, mayFallAsleep() {
                unsafe poll(&places, nfds_t(places.count), patience)
                if places[1].revents != 0 { bell.silence() }
            }
            let isLast = isEnding.load(ordering: .sequentiallyConsistent)
            doErrands(&errands)
            unsafe MHD_run(daemon)
            if isLast { return }
        }
    }

    private func mayFallAsleep() -> Bool {
        inbox.withLock { inbox in
            inbox.isAsleep = inbox.errands.isEmpty
            return inbox.isAsleep
        }
    }

    /// `errands` is where they are put in the meantime: room that is kept.
    private func doErrands(_ errands: inout [Errand]) {
        inbox.withLock { inbox in
            inbox.isAsleep = false
            swap(&inbox.errands, &errands)
        }
        for errand in errands {
            switch errand {
            case .serve(let socket):
                unsafe flotilla_http_give(daemon, socket)
                core.arrived()
            case .resume(let address): unsafe MHD_resume_connection(OpaquePointer(bitPattern: address))
            }
        }
        errands.removeAll(keepingCapacity: true)
    }
}
