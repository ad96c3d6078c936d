internal import CMicrohttpd
internal import Glibc
internal import Platform
internal import Synchronization

/// What a server is made of, and what libmicrohttpd calls.
@safe final class ServerCore: @unchecked Sendable {
    // Unchecked: `threads` are written by `init` and emptied by `stop`; who is the `next` of them is the keeper's.
    let configuration: HTTPConfiguration
    /// The configuration's times in milliseconds: turning one into them takes longer than what it is needed for.
    let patience: Patience
    let handler: any RequestHandler
    let table = ConnectionTable()
    var port: UInt16 { listener.port }
    /// Rung when the last request is over.
    let idle: Doorbell
    /// Requests that have begun and are not over.
    let openExchanges = Atomic<Int>(0)
    /// What is kept of the bodies of requests that are not over.
    let memory: HeldBytes
    /// When the keeper looked last: a clock that costs nothing, and is a third of a second late at most.
    private let swept = Atomic<Int64>(Time.monotonicMilliseconds)
    /// No new connections, and each answer is its connection's last.
    let isQuiet = Atomic<Bool>(false)
    /// Nothing is waited for any more.
    let isGivingUp = Atomic<Bool>(false)
    private let bell: Doorbell
    private let stopped = Atomic<Bool>(false)

    private var threads: [ServingThread] = []
    private var next = 0
    private let listener: Listener
    /// Connections that a thread was given and has not opened yet.
    private let arriving = Atomic<Int>(0)
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
        listener = try Listener(configuration.host, configuration.port)
        unsafe texts = [
            configuration.tls?.certificate, configuration.tls?.key, configuration.tls?.clientAuthority,
        ].map { text in unsafe text.flatMap { unsafe strdup($0) } }
        var wanted = unsafe flotilla_http_options()
        // `take` counts them, over all threads.
        unsafe wanted.connections = UInt32(clamping: max(1, configuration.maxConnections))
        // The table's deadlines are finer; this is for those that it cannot know of.
        unsafe wanted.idle_seconds = UInt32(clamping: configuration.idleTimeout.milliseconds / 1000 + 60)
        // Of this the library takes what a request's headers need, and gives the rest to the body.
        unsafe wanted.memory = configuration.maxHeaderBytes * 3 / 2
        unsafe (wanted.certificate, wanted.key) = (UnsafePointer(texts[0]), UnsafePointer(texts[1]))
        unsafe wanted.authority = UnsafePointer(texts[2])
        do throws(HTTPFault) {
            for _ in 0..<max(1, configuration.threads) { threads.append(try ServingThread(self, wanted)) }
            do throws(SystemError) {
                for thread in threads { try thread.start() }
            } catch { throw HTTPFault("\(error)") }
        } catch {
            threads.forEach { $0.end() }
            threads.forEach { $0.close() }
            threads = []
            throw HTTPFault(
                configuration.tls == nil
                    ? "cannot serve HTTP: \(error)"
                    : "cannot serve TLS: \(error); are certificate and key PEM, and do they belong together?")
        }
    }

    deinit {
        unsafe texts.forEach { unsafe free($0) }
    }

    var hasStopped: Bool { stopped.load(ordering: .acquiring) }

    /// Stops listening.
    func quiesce() {
        isQuiet.store(true, ordering: .sequentiallyConsistent)
        listener.close()
        bell.ring()
    }

    /// Has the keeper end, and nobody wait any longer. The flag comes first: a request that does not see it is in the
    /// table already.
    func giveUp() {
        isGivingUp.store(true, ordering: .sequentiallyConsistent)
        for exchange in table.exchanges { exchange.giveUp(self) }
        // Who was about to resume one has left word in a moment.
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
        // In this order: what arrives is in the table before it is taken off the other.
        while arriving.load(ordering: .sequentiallyConsistent) > 0 || table.count > 0 {
            let rest = end - Time.monotonicMilliseconds
            guard rest > 0 else { break }
            idle.wait(milliseconds: rest)
        }
        threads.forEach { $0.end() }
        threads.forEach { $0.close() }
        threads = []
        stopped.store(true, ordering: .releasing)
    }

    /// Until the end: takes who comes, and looks four times a second for what is late.
    func keep() {
        var due = Time.monotonicMilliseconds + Self.sweepInterval
        while !isGivingUp.load(ordering: .acquiring) {
            listener.wait(bell, milliseconds: due - Time.monotonicMilliseconds)
            if !listener.take({ take($0) }) {
                // Who leaves makes room, and is not heard of here.
                bell.wait(milliseconds: Self.roomInterval)
            }
            let now = Time.monotonicMilliseconds
            guard now >= due else { continue }
            due = now + Self.sweepInterval
            sweep(now)
        }
    }

    private func sweep(_ now: Int64) {
        swept.store(now, ordering: .relaxed)
        _ = table.cutOff(now: now)
        table.remindOfEnds()
        for exchange in table.exchanges { exchange.expire(self, now: now) }
    }

    private func take(_ socket: Int32) {
        guard arriving.load(ordering: .sequentiallyConsistent) + table.count < configuration.maxConnections else {
            close(socket)
            return
        }
        next = (next + 1) % threads.count
        arriving.add(1, ordering: .sequentiallyConsistent)
        threads[next].take(socket)
    }

    /// A connection that a thread was given is open, or the library could not take it and has closed it.
    func arrived() {
        arriving.subtract(1, ordering: .sequentiallyConsistent)
        ringIfEmpty()
    }

    /// For who waits until all have gone.
    private func ringIfEmpty() {
        if isGivingUp.load(ordering: .sequentiallyConsistent), table.count == 0 { idle.ring() }
    }

    private static let sweepInterval: Int64 = 250
    private static let roomInterval: Int64 = 50
    /// For who does not read the end of an answer.
    private static let closingPatience: Int64 = 1000

    var lastSwept: Int64 { swept.load(ordering: .relaxed) }

    // MARK: From the library

    func opened(_ native: OpaquePointer, _ thread: ServingThread) -> Connection {
        let now = Time.monotonicMilliseconds
        let connection = unsafe Connection(
            thread, socket: flotilla_http_socket(native), deadline: now + patience.header)
        table.add(connection)
        // The end may have gone through the table before.
        if isGivingUp.load(ordering: .sequentiallyConsistent) { shutdown(connection.socket, Int32(SHUT_RD)) }
        return connection
    }

    func closed(_ connection: Connection) {
        table.remove(connection)
        ringIfEmpty()
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
