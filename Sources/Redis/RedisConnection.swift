internal import Glibc
internal import Platform
internal import Synchronization

/// One connection and the thread that owns it.
///
/// Whoever has something to ask leaves it here and rings; the thread sleeps on the socket and the bell, sends all that
/// waits in one go and matches the answers by their order. An answer that does not come in time ends the connection,
/// because every later one would be taken for it.
final class RedisConnection: Sendable {
    /// Something to be asked: formatted commands, and who waits for their answers.
    struct Question: Sendable {
        let bytes: [UInt8]
        let answers: Int
        let deadline: Int64
        let reply: @Sendable (Result<[RedisValue], RedisFault>) -> Void
    }

    private struct State {
        var waiting: [Question] = []
        var waitingBytes = 0
        var isClosed = false
        /// Why nothing can be sent at the moment.
        var trouble: RedisFault?
    }

    private let configuration: RedisConfiguration
    private let bell: Doorbell
    private let state = Mutex(State())
    private let thread: Mutex<OSThread?>

    init(_ configuration: RedisConfiguration) throws(RedisFault) {
        self.configuration = configuration
        do throws(SystemError) {
            bell = try Doorbell()
            thread = Mutex(nil)
            let started = try OSThread(name: "redis") { [self] in run() }
            thread.withLock { $0 = started }
        } catch { throw RedisFault(.unreachable, "\(error)") }
    }

    func ask(_ question: Question) {
        let refusal: RedisFault? = state.withLock { state in
            if state.isClosed { return RedisFault(.closed, "the client is closed") }
            // While it is away every question would only wait for its deadline.
            if let trouble = state.trouble { return trouble }
            guard state.waitingBytes + question.bytes.count <= configuration.maxQueuedBytes else {
                return RedisFault(.unready, "more than \(configuration.maxQueuedBytes) bytes wait to be sent")
            }
            state.waiting.append(question)
            state.waitingBytes += question.bytes.count
            return nil
        }
        if let refusal { question.reply(.failure(refusal)) } else { bell.ring() }
    }

    /// Refuses what is not answered and ends the thread.
    func close() {
        state.withLock { $0.isClosed = true }
        bell.ring()
        thread.withLock { $0.take() }?.join()
    }

    private var isClosed: Bool { state.withLock { $0.isClosed } }

    private func take() -> [Question] {
        state.withLock { state in
            let taken = state.waiting
            state.waiting = []
            state.waitingBytes = 0
            return taken
        }
    }

    // MARK: The thread

    private func run() {
        var pause: Int64 = 50
        while !isClosed {
            do throws(RedisFault) {
                let transport = try connect()
                state.withLock { $0.trouble = nil }
                let began = Time.monotonicMilliseconds
                let fault = Session(transport, reader: ReplyReader(), bell: bell).run(
                    take: take, isClosed: { self.isClosed })
                transport.shut()
                if !isClosed { fail(fault) }
                // A proxy whose server is away takes connections and hangs up at once: no better than none.
                if Time.monotonicMilliseconds - began >= 1000 { pause = 50 } else { rest(&pause) }
            } catch {
                fail(error)
                rest(&pause)
            }
        }
        fail(RedisFault(.closed, "the client is closed"))
    }

    /// Waits before the next connection, longer each time.
    private func rest(_ pause: inout Int64) {
        sleep(until: Time.monotonicMilliseconds + pause + Int64.random(in: 0...pause))
        pause = min(pause * 2, 1000)
    }

    /// Nothing can be sent; who waits is told at once.
    private func fail(_ fault: RedisFault) {
        let refused = state.withLock { state in
            state.trouble = fault
            let refused = state.waiting
            state.waiting = []
            state.waitingBytes = 0
            return refused
        }
        for question in refused { question.reply(.failure(fault)) }
    }

    private func sleep(until time: Int64) {
        while !isClosed, Time.monotonicMilliseconds < time {
            var ring = pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0)
            unsafe _ = poll(&ring, 1, Int32(clamping: time - Time.monotonicMilliseconds))
            bell.silence()
        }
    }

    /// A connection that knows us and is ready for commands.
    private func connect() throws(RedisFault) -> Transport {
        let deadline = Time.monotonicMilliseconds + configuration.connectTimeout.patience
        let transport = try Transport(configuration, by: deadline)
        var greeting: [RedisCommand] = []
        if let password = configuration.password {
            var login = RedisCommand("AUTH")
            if let user = configuration.user { login.add(user) }
            login.add(password)
            greeting.append(login)
        }
        if configuration.database != 0 { greeting.append(RedisCommand("SELECT", "\(configuration.database)")) }
        // The answer tells a server that is still loading, whatever the login said.
        greeting.append(RedisCommand("PING"))
        let session = Session(transport, reader: ReplyReader(), bell: bell)
        do throws(RedisFault) {
            for case .error(let text) in try session.ask(greeting, by: deadline) { throw RedisFault(answered: text) }
            return transport
        } catch {
            transport.shut()
            throw error
        }
    }
}
