internal import CMicrohttpd
internal import Glibc
internal import Platform
internal import Synchronization

/// What a server is made of, and what libmicrohttpd calls.
@safe final class ServerCore: @unchecked Sendable {
    // Unchecked: the library's handle and options are written by `init` and used by `quiesce` and `stop`, which one
    // thread calls.
    let configuration: HTTPConfiguration
    /// The configuration's times in milliseconds: turning one into them takes longer than what it is needed for.
    let patience: Patience
    let handler: any RequestHandler
    let table = ConnectionTable()
    let port: UInt16
    /// Rung when the last request is over.
    let idle: Doorbell
    /// Requests that have begun and are not over.
    let openExchanges = Atomic<Int>(0)
    /// What is kept of the bodies of requests that are not over.
    let memory: HeldBytes
    /// When the sweeper looked last: a clock that costs nothing, a quarter of a second late at most.
    private let swept = Atomic<Int64>(Time.monotonicMilliseconds)
    /// No new connections, and each answer is its connection's last.
    let isQuiet = Atomic<Bool>(false)
    /// Nothing is waited for any more.
    let isGivingUp = Atomic<Bool>(false)
    private let bell: Doorbell
    private let stopped = Atomic<Bool>(false)

    private var daemon: OpaquePointer?
    /// Where it listened, once it does no more.
    private var listener: Int32 = -1
    private let options: UnsafeMutablePointer<flotilla_http_options>
    private let texts: [UnsafeMutablePointer<CChar>?]

    init(_ configuration: HTTPConfiguration, _ handler: any RequestHandler) throws(HTTPFault) {
        self.configuration = configuration
        patience = Patience(configuration)
        self.handler = handler
        memory = HeldBytes(limit: configuration.maxHeldBytes)
        do throws(SystemError) {
            bell = try Doorbell()
            idle = try Doorbell()
        } catch { throw HTTPFault("\(error)") }
        var port: UInt16 = 0
        let host = HostName.resolvable(configuration.host)
        let listener = unsafe flotilla_http_listen(host, "\(configuration.port)", &port)
        guard listener >= 0 else {
            let place = "\(configuration.host):\(configuration.port)"
            if listener == -2 { throw HTTPFault("cannot listen on \(place): the host has no address") }
            throw HTTPFault(
                errno == EADDRINUSE
                    ? "cannot listen on \(place): another process does; stop it, or choose another port"
                    : "cannot listen on \(place): \(SystemError.last("bind"))")
        }
        self.port = port
        unsafe texts = [
            configuration.tls?.certificate, configuration.tls?.key, configuration.tls?.clientAuthority,
        ].map { text in unsafe text.flatMap { unsafe strdup($0) } }
        unsafe options = .allocate(capacity: 1)
        unsafe options.initialize(to: flotilla_http_options())
        unsafe options.pointee.listener = listener
        unsafe options.pointee.threads = UInt32(clamping: max(1, configuration.threads))
        unsafe options.pointee.connections = UInt32(clamping: max(configuration.threads, configuration.maxConnections))
        // The table's deadlines are finer; this is for those that it cannot know of.
        unsafe options.pointee.idle_seconds = UInt32(clamping: configuration.idleTimeout.milliseconds / 1000 + 60)
        // Of this the library takes what a request's headers need, and gives the rest to the body.
        unsafe options.pointee.memory = configuration.maxHeaderBytes * 3 / 2
        unsafe (options.pointee.certificate, options.pointee.key) = (UnsafePointer(texts[0]), UnsafePointer(texts[1]))
        unsafe options.pointee.authority = UnsafePointer(texts[2])
        unsafe options.pointee.context = Unmanaged.passUnretained(self).toOpaque()
        unsafe options.pointee.access = Callbacks.access
        unsafe options.pointee.completed = Callbacks.completed
        unsafe options.pointee.connection = Callbacks.connection
        unsafe daemon = flotilla_http_start(options)
        guard unsafe daemon != nil else {
            let complaint = unsafe withUnsafePointer(to: &options.pointee.complaint) { text in
                unsafe text.withMemoryRebound(to: CChar.self, capacity: 512) { unsafe String(cString: $0) }
            }
            close(listener)
            let what = complaint.split(separator: "\n").first.map(String.init) ?? "the library does not say why"
            throw HTTPFault(
                configuration.tls == nil
                    ? "cannot serve HTTP: \(what)"
                    : "cannot serve TLS: \(what); are certificate and key PEM, and do they belong together?")
        }
    }

    deinit {
        unsafe options.deallocate()
        unsafe texts.forEach { unsafe free($0) }
    }

    var hasStopped: Bool { stopped.load(ordering: .acquiring) }

    /// Stops listening.
    func quiesce() {
        isQuiet.store(true, ordering: .sequentiallyConsistent)
        listener = unsafe MHD_quiesce_daemon(daemon)
        // Whoever comes from now on is refused, but it stays a socket until the library's threads have ended: one of them
        // may be about to take it out of what it waits for, and the library ends the process when that cannot be done.
        if listener >= 0 { shutdown(listener, Int32(SHUT_RD)) }
    }

    /// Has the sweeper end, and nobody wait any longer. The flag comes first: a request that does not see it is in the
    /// table already.
    func giveUp() {
        isGivingUp.store(true, ordering: .sequentiallyConsistent)
        for exchange in table.exchanges { exchange.giveUp(self) }
        // Who was about to resume one is in the library for a moment yet.
        while table.exchanges.contains(where: \.isWaking) { sched_yield() }
        bell.ring()
    }

    /// Closes everything. Nothing may be suspended.
    ///
    /// What is no request the library answers by itself, and from the moment that it stops it says of an answer that it is
    /// on its way though it has dropped it, and looks into it all the same: at nothing. So before that connections are to
    /// end by themselves, which they do when there is nothing more to read.
    func stop() {
        table.endInput()
        let end = Time.monotonicMilliseconds + Self.closingPatience
        while table.count > 0 {
            let rest = end - Time.monotonicMilliseconds
            guard rest > 0 else { break }
            idle.wait(milliseconds: rest)
        }
        unsafe MHD_stop_daemon(daemon)
        if listener >= 0 { close(listener) }
        listener = -1
        stopped.store(true, ordering: .releasing)
    }

    /// Until the end: looks four times a second for what is late.
    func sweep() {
        while !isGivingUp.load(ordering: .acquiring) {
            bell.wait(milliseconds: 250)
            let now = Time.monotonicMilliseconds
            swept.store(now, ordering: .relaxed)
            _ = table.cutOff(now: now)
            table.cutOffHalfClosed()
            for exchange in table.exchanges { exchange.expire(self, now: now) }
        }
    }

    /// For who does not read the end of an answer.
    private static let closingPatience: Int64 = 1000

    var lastSwept: Int64 { swept.load(ordering: .relaxed) }

    // MARK: From the library

    func opened(_ native: OpaquePointer) -> Connection {
        let now = Time.monotonicMilliseconds
        let connection = unsafe Connection(
            socket: flotilla_http_socket(native), deadline: now + patience.header)
        table.add(connection)
        return connection
    }

    func closed(_ connection: Connection) {
        table.remove(connection)
        if isGivingUp.load(ordering: .sequentiallyConsistent), table.count == 0 { idle.ring() }
    }

    func begin(_ native: OpaquePointer, _ request: HTTPRequest, _ connection: Connection) -> Exchange {
        connection.deadline.store(0, ordering: .relaxed)
        let exchange = Exchange(
            native, request, connection, memory, bodyTimeout: patience.body, now: Time.monotonicMilliseconds)
        connection.exchange.withLock { $0 = exchange }
        openExchanges.add(1, ordering: .sequentiallyConsistent)
        return exchange
    }

    func end(_ exchange: Exchange, isDone: Bool) {
        let connection = exchange.connection
        connection.exchange.withLock { $0 = nil }
        connection.deadline.store(Time.monotonicMilliseconds + patience.idle, ordering: .relaxed)
        exchange.letGo()
        handler.finished(exchange, status: exchange.end(isDone))
        if openExchanges.subtract(1, ordering: .sequentiallyConsistent).newValue == 0,
            isQuiet.load(ordering: .sequentiallyConsistent)
        {
            idle.ring()
        }
    }
}

extension ServerCore {
    struct Patience: Sendable {
        let header, idle, body, send, answer: Int64

        init(_ configuration: HTTPConfiguration) {
            header = configuration.headerTimeout.milliseconds
            idle = configuration.idleTimeout.milliseconds
            body = configuration.bodyTimeout.milliseconds
            send = configuration.sendTimeout.milliseconds
            answer = configuration.answerTimeout.milliseconds
        }
    }
}

extension Doorbell {
    /// Sleeps until it rings or the time is over.
    func wait(milliseconds: Int64) {
        var wanted = pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)
        unsafe poll(&wanted, 1, Int32(clamping: milliseconds))
        silence()
    }
}
