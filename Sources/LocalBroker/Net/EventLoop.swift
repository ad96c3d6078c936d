// The one thread on which the broker lives. Everything that it decides and every structure that it keeps is confined to
// it, so there is no lock anywhere behind it; the only other thread forces files to the disk (Syncer) and rings the
// doorbell. One thread is enough: what a record costs here is a checksum, a write into the page cache and its share of a
// system call, and on the way out a sendfile.
//
// A turn: sleep until a socket, the doorbell or a deadline; take in requests; let the service finish what the turn made
// possible (`endOfTurn`); write what is ready. Every connection gets a bounded share of a turn.

internal import CLinux
internal import Glibc
internal import Platform

/// What the loop serves.
protocol LoopService: AnyObject {
    /// One request; `frame` is lent for the call. Throwing closes the connection.
    func handle(_ frame: UnsafeMutableRawBufferPointer, from connection: Connection, now: Int64) throws(WireFault)
    /// Called after connections were closed, once a turn.
    func connectionsClosed(_ ids: [UInt64], now: Int64)
    /// Called when the doorbell rang.
    func wake(now: Int64)
    /// Called once a turn, when all that had arrived was handled and before answers are written.
    func endOfTurn(now: Int64)
    /// Called every `Housekeeping.everyMilliseconds`.
    func housekeeping(now: Int64)
    /// When `endOfTurn` must be called even if nothing arrives.
    var nextDeadline: Int64? { get }
    /// Whether, after being asked to stop, everything owed has been answered.
    var hasFinished: Bool { get }
}

@safe final class EventLoop {
    private let listener: Listener
    private let doorbell: Doorbell
    private let poller: Poller
    private let configuration: BrokerConfiguration
    private let log: Log
    private var connections: [UInt64: Connection] = [:]
    private var nextID: UInt64 = Token.firstConnection
    private var toWrite: [Connection] = []
    private var heldBytes = 0
    private var outputBytes = 0
    let gauges = LoopGauges()
    private var closedConnections: [UInt64] = []
    /// Requests were taken in after the service had finished its turn.
    private var hasServedLate = false
    private var isAccepting = false
    private var isStopping = false
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)

    private enum Token {
        static let listener: UInt64 = 0
        static let doorbell: UInt64 = 1
        static let firstConnection: UInt64 = 2
    }

    init(listener: Listener, doorbell: Doorbell, configuration: BrokerConfiguration, log: Log) throws(SystemError) {
        self.listener = listener
        self.doorbell = doorbell
        self.configuration = configuration
        self.log = log
        poller = try Poller()
        try poller.add(doorbell.fileDescriptor, token: Token.doorbell)
    }

    deinit { unsafe scratch.deallocate() }

    /// Serves until `shouldStop` says so after the doorbell rang, then until everything owed is answered, but no longer
    /// than five seconds more.
    func run(_ service: any LoopService, shouldStop: () -> Bool) throws(SystemError) {
        setAccepting(true)
        var nextHousekeeping = Time.monotonicMilliseconds + configuration.housekeeping.everyMilliseconds
        var stopBy: Int64?
        defer { closeEverything() }
        while true {
            let before = Time.monotonicMilliseconds
            var deadline = min(nextHousekeeping, stopBy ?? .max)
            if let wanted = service.nextDeadline { deadline = min(deadline, wanted) }
            let hasMore = !toWrite.isEmpty || !closedConnections.isEmpty || hasServedLate
            hasServedLate = false
            let sleep = hasMore ? 0 : Int32(clamping: max(0, deadline - before))
            var now = before
            try poller.wait(milliseconds: sleep) { event in
                now = Time.monotonicMilliseconds
                switch event.token {
                case Token.listener: accept(now: now)
                case Token.doorbell:
                    doorbell.silence()
                    service.wake(now: now)
                default: connectionEvent(event, service, now: now)
                }
            }
            now = Time.monotonicMilliseconds
            if now >= nextHousekeeping {
                nextHousekeeping = now + configuration.housekeeping.everyMilliseconds
                closeStalledConnections(service, now: now)
                service.housekeeping(now: now)
            }
            if !closedConnections.isEmpty {
                service.connectionsClosed(closedConnections, now: now)
                closedConnections.removeAll(keepingCapacity: true)
            }
            service.endOfTurn(now: now)
            writeWhatIsReady(service, now: now)
            gauges.show(connections: connections.count, heldBytes: heldBytes, outputBytes: outputBytes)
            if stopBy == nil, shouldStop() {
                stopBy = now + 5000
                isStopping = true
                setAccepting(false)
                // What has arrived is answered; under a steady stream of new requests that would never end.
                for connection in connections.values { watch(connection) }
            }
            if let stopBy {
                let owed = connections.values.contains { $0.hasOutput }
                if now >= stopBy || (service.hasFinished && !owed && toWrite.isEmpty) { return }
            }
        }
    }

    private func connectionEvent(_ event: Poller.Event, _ service: any LoopService, now: Int64) {
        guard let connection = connections[event.token] else { return }
        let reads = !isStopping && connection.mayRead
        if reads, event.readable || event.hungUp { receive(connection, service, now: now) }
        if event.writable, !connection.isClosed { markForWriting(connection) }
        // Nothing to read and nobody there: only reading is ever paused, so this would come again at once.
        if event.hungUp, !connection.isClosed, !reads { close(connection, .byPeer) }
    }

    private func accept(now: Int64) {
        for _ in 0..<64 {
            let descriptor = flotilla_accept(listener.descriptor)
            guard descriptor >= 0 else {
                if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM {
                    log.error("cannot accept connections", [("reason", SystemError.last("accept"))])
                    // Tried again by housekeeping: asking at once would only spin.
                    setAccepting(false)
                }
                return
            }
            let peer = peerName(of: descriptor)
            guard connections.count < configuration.limits.connections else {
                Glibc.close(descriptor)
                tell(CloseReason.tooManyConnections, peer)
                continue
            }
            var on: Int32 = 1
            unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, 4)
            let connection = Connection(
                id: nextID, descriptor: descriptor, peer: peer, limits: configuration.limits, now: now
            ) { [unowned self] in toWrite.append($0) }
            nextID += 1
            connections[connection.id] = connection
            do throws(SystemError) {
                try poller.add(descriptor, token: connection.id)
            } catch {
                log.error("cannot watch a connection", [("reason", error)])
                close(connection, .stopping)
            }
        }
    }

    private func setAccepting(_ accepting: Bool) {
        guard accepting != isAccepting, !(accepting && isStopping) else { return }
        isAccepting = accepting
        if accepting {
            do throws(SystemError) {
                try poller.add(listener.descriptor, token: Token.listener)
            } catch {
                isAccepting = false
                log.error("cannot accept connections", [("reason", error)])
            }
        } else {
            poller.remove(listener.descriptor)
        }
    }

    private func receive(_ connection: Connection, _ service: any LoopService, now: Int64) {
        unsafe connection.receive(scratch: scratch, now: now) { input in
            switch unsafe input {
            case .frame(let frame):
                do throws(WireFault) {
                    unsafe try service.handle(frame, from: connection, now: now)
                } catch {
                    close(connection, .malformed("\(error)"))
                }
            case .closed(let reason):
                close(connection, reason)
            }
        }
        guard !connection.isClosed else { return }
        account(connection)
        if heldBytes > configuration.limits.unfinishedRequestBytes {
            // Not whoever happened to come last: it may hold nothing to speak of.
            let largest = connections.values.max { $0.heldBytes < $1.heldBytes }
            close(largest ?? connection, .tooMuchMemory)
        }
        if !connection.isClosed { watch(connection) }
    }

    /// Counts anew what a connection holds.
    private func account(_ connection: Connection) {
        heldBytes += connection.heldBytes - connection.accounted.held
        outputBytes += connection.outputBytes - connection.accounted.output
        connection.accounted = (connection.heldBytes, connection.outputBytes)
    }

    private func markForWriting(_ connection: Connection) {
        guard !connection.isMarkedForWriting else { return }
        connection.isMarkedForWriting = true
        toWrite.append(connection)
    }

    private func writeWhatIsReady(_ service: any LoopService, now: Int64) {
        let ready = toWrite
        toWrite.removeAll(keepingCapacity: true)
        for connection in ready {
            connection.isMarkedForWriting = false
            guard !connection.isClosed else { continue }
            guard connection.doom == nil, connection.send(now: now) else {
                close(connection, connection.doom ?? .byPeer)
                continue
            }
            if connection.hasBacklog, connection.mayRead, !isStopping {
                hasServedLate = true
                receive(connection, service, now: now)
            }
            guard !connection.isClosed else { continue }
            account(connection)
            watch(connection)
        }
    }

    /// Asks epoll for what the connection can do something with.
    private func watch(_ connection: Connection) {
        let wanted = (readable: connection.mayRead && !isStopping, writable: connection.hasOutput)
        guard wanted != connection.isWatched else { return }
        connection.isWatched = wanted
        poller.change(
            connection.descriptor, token: connection.id, readable: wanted.readable, writable: wanted.writable)
    }

    private func closeStalledConnections(_ service: any LoopService, now: Int64) {
        setAccepting(true)
        let limits = configuration.limits
        for connection in connections.values {
            if connection.isWaitingForPeer {
                if now > connection.patienceEnds { close(connection, .stalled) }
                continue
            }
            connection.renewPatience(now: now)
            if !connection.hasUnfinishedAnswers, now - connection.lastProgress > limits.idleMilliseconds {
                close(connection, .idle)
            }
        }
    }

    func close(_ connection: Connection, _ reason: CloseReason) {
        guard !connection.isClosed else { return }
        tell(reason, connection.peer)
        heldBytes -= connection.accounted.held
        outputBytes -= connection.accounted.output
        poller.remove(connection.descriptor)
        connections[connection.id] = nil
        closedConnections.append(connection.id)
        connection.close()
    }

    private func tell(_ reason: CloseReason, _ peer: String) {
        if reason.isOrdinary {
            log.debug("connection closed", [("peer", peer), ("reason", reason)])
        } else {
            log.warning("connection closed", [("peer", peer), ("reason", reason)])
        }
    }

    private func closeEverything() {
        for connection in connections.values { close(connection, .stopping) }
        setAccepting(false)
    }
}
