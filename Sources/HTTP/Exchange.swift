internal import CMicrohttpd
internal import Platform
internal import Synchronization

/// One request and its answer.
///
/// The server's thread runs the handler's code, then looks whether there is something to wait for: an answer, or the
/// leave to read on. If so the connection is *suspended*, and whoever brings that something *resumes* it, from any
/// thread. libmicrohttpd resumes only what is suspended, so the two are ordered here:
///
///     running ──(must wait)──→ suspending ──(still must)──→ suspended ──(answer came)──→ waking ──→ running
///                                  └──(came meanwhile)──→ waking, by the server's thread itself
///
/// Neither is done with the lock held. `waking` lasts while somebody is about to have it resumed: the server does not end
/// before, because the library must have nothing suspended then, and takes its connections with it.
@safe package final class Exchange: @unchecked Sendable {
    // Unchecked: `native` is used by the server's thread, or by the one that takes the exchange out of `suspended`, of
    // which there is one: a suspended connection is nobody else's and cannot go away. `body`, `plan` and the counts
    // belong to the server's thread.
    package let request: HTTPRequest
    /// When the headers were there, by the monotonic clock.
    package let began: Int64
    let connection: Connection
    /// What whoever handles the request wants to find again; set in `begin` alone, when nobody else has the exchange yet.
    package var companion: AnyObject?
    /// Who has half of the memory for bodies at most, with all of their requests; nil for nobody. Set in `begin` alone, too.
    package var payer: String?
    private let native: OpaquePointer
    private let bodyTimeout: Int64
    private let memory: HeldBytes
    private let state = Mutex(State())

    private var plan: BodyPlan?
    private var body: [UInt8] = []
    private var discarded = 0
    /// Nobody wants the rest of a stream.
    private var isIgnoring = false
    /// How much of the server's memory for bodies it has taken.
    private var held = 0
    /// Until when there is patience with the body, and thousandths of bytes that have not made it longer yet.
    private var pace: (end: Int64, rest: Int)

    private struct State {
        enum Phase { case running, suspending, suspended, waking, over }
        var phase = Phase.running
        var response: HTTPResponse?
        var headers: [HTTPRequest.Field] = []
        var interceptor: (@Sendable (HTTPResponse) -> Void)?
        /// The interceptor has got the answer: whatever else comes is too late.
        var isDecided = false
        var isPaused = false
        var hasPaused = false
        /// The body is there: the answer is waited for.
        var isComplete = false
        var deadline: Int64?
        /// What was answered, as soon as it is handed over.
        var status: Int?

        var mustWait: Bool { isComplete ? response == nil : isPaused }
    }

    @safe init(
        _ native: OpaquePointer, _ request: HTTPRequest, _ connection: Connection, _ memory: HeldBytes,
        bodyTimeout: Int64, now: Int64
    ) {
        unsafe self.native = native
        self.memory = memory
        self.bodyTimeout = bodyTimeout
        self.request = request
        self.connection = connection
        began = now
        pace = (now + bodyTimeout, 0)
    }

    // MARK: For whoever handles the request, on any thread

    /// The answer. Only the first one counts, and none when the connection is gone.
    package func answer(_ response: HTTPResponse) {
        let (interceptor, isFirst) = state.withLock { state in
            guard state.response == nil, !state.isDecided else {
                return (nil as (@Sendable (HTTPResponse) -> Void)?, false)
            }
            state.isDecided = state.interceptor != nil
            return (state.interceptor.take(), true)
        }
        if let interceptor { return interceptor(response) }
        if isFirst { conclude(response) }
    }

    /// The answer that the interceptor got, when it has done with it.
    package func conclude(_ response: HTTPResponse) {
        change { state in
            if state.response == nil { state.response = response }
        }
        // Its end has passed already, and will not come again.
        if isOver { response.feed?.end() }
    }

    /// Gets the answer in the client's stead, and is to `conclude` with it, soon: until then no other one counts.
    package func intercept(_ interceptor: @escaping @Sendable (HTTPResponse) -> Void) {
        state.withLock { $0.interceptor = interceptor }
    }

    /// Headers for the answer, whichever it will be.
    package func addHeaders(_ fields: [HTTPRequest.Field]) { state.withLock { $0.headers += fields } }

    /// No more of the body until `resume`. To be called by the body's reader.
    package func pause() { state.withLock { $0.isPaused = true } }

    package func resume() { change { $0.isPaused = false } }

    /// Whether the peer is gone, so that nobody waits for the answer.
    package var isOver: Bool { state.withLock { $0.phase == .over } }

    private func change(_ body: (inout State) -> Void) {
        let (isReady, isComplete) = state.withLock { state in
            body(&state)
            guard state.phase == .suspended, !state.mustWait else { return (false, false) }
            state.phase = .waking
            return (true, state.isComplete)
        }
        if isReady { wake(isComplete) }
    }

    private func wake(_ isComplete: Bool) {
        if !isComplete {
            connection.deadline.store(Time.monotonicMilliseconds + bodyTimeout, ordering: .relaxed)
        }
        unsafe connection.thread.resume(native)
        // By now the server's thread may be further.
        state.withLock { state in
            if state.phase == .waking { state.phase = .running }
        }
    }

    /// Whether somebody is about to have it resumed.
    var isWaking: Bool { state.withLock { $0.phase == .waking } || feed?.isWaking ?? false }

    // MARK: For a body's reader and what gets the body, on the server's thread

    /// Takes so much more of the server's memory for bodies, until the request is over; whether there was enough of it.
    package func hold(_ count: Int) -> Bool { keep(held + count) }

    /// As above, for so much in all.
    package func keep(_ count: Int) -> Bool {
        defer { held = count }
        return memory.change(from: held, to: count, of: payer)
    }

    /// Gives back all that it has taken.
    func letGo() { _ = keep(0) }

    /// Nobody wants what is left of the body. A part of it is read all the same, so that the sender gets to read the answer.
    package func ignoreRest() { isIgnoring = true }

    // MARK: On the server's thread

    /// The headers are there.
    func begin(_ server: ServerCore) -> Bool {
        if request.headerBytes > server.configuration.maxHeaderBytes {
            let detail =
                "the headers have \(request.headerBytes) bytes, more than the \(server.configuration.maxHeaderBytes) allowed"
            return refuse(server.handler.refusal(431, detail), server)
        }
        if let fault = request.framingFault {
            return refuse(server.handler.refusal(fault.status, fault.detail), server)
        }
        if request.hasBody { keepPace(0, server.configuration) }
        let plan = server.handler.begin(self)
        switch plan {
        case .answer(let response):
            // Sent at once it would end the connection, so what is small is read first. Who waits for leave to send is
            // told at once in any case.
            let length = request.contentLength ?? 0
            if request.hasBody, request.expectsContinue || length > server.configuration.maxDiscardedBytes {
                return refuse(response, server)
            }
            answer(response)
        case .collect(let limit, let tooLarge, _):
            let length = request.contentLength ?? 0
            if length > limit {
                let response = tooLarge()
                if request.expectsContinue || length > server.configuration.maxDiscardedBytes {
                    return refuse(response, server)
                }
                answer(response)
                self.plan = .answer(response)
                return true
            }
            // What is announced need not come.
            body.reserveCapacity(min(length, 64 << 10))
        case .stream, .waitForAnswer: break
        }
        self.plan = plan
        return true
    }

    /// Answers before the body, which ends the connection.
    private func refuse(_ response: HTTPResponse, _ server: ServerCore) -> Bool {
        var response = response
        response.closes = true
        state.withLock { state in
            state.response = response
            state.isComplete = true
        }
        return send(response, server)
    }

    /// A piece of the body. How much of it was taken: the rest comes again after a suspension. Nil ends the connection.
    func take(_ piece: RawSpan, _ server: ServerCore) -> Int? {
        keepPace(piece.byteCount, server.configuration)
        let all = piece.byteCount
        switch plan {
        case .collect(let limit, let tooLarge, _):
            let isMuch = !hold(piece.byteCount)
            if isMuch || piece.byteCount > limit - body.count {
                let response = isMuch ? server.handler.overload(request) : tooLarge()
                body = []
                letGo()
                answer(response)
                plan = .answer(response)
                return all
            }
            unsafe piece.withUnsafeBytes { unsafe body.append(contentsOf: $0) }
        case .stream(let reader): return take(piece, reader, server)
        case .answer, .waitForAnswer, nil:
            discarded += piece.byteCount
            if discarded > server.configuration.maxDiscardedBytes { return nil }
        }
        return all
    }

    private func take(_ piece: RawSpan, _ reader: any BodyReader, _ server: ServerCore) -> Int? {
        var rest = piece
        while !rest.isEmpty {
            if isIgnoring {
                discarded += rest.byteCount
                return discarded > server.configuration.maxIgnoredBytes ? nil : piece.byteCount
            }
            rest = rest.extracting(droppingFirst: max(1, reader.take(rest, self)))
            switch wait(server) {
            case .hasNoTime: return nil
            case .isSuspended: return piece.byteCount - rest.byteCount
            case .isNotNeeded: break
            }
        }
        return piece.byteCount
    }

    /// The body is there, or an answer is: called again after each suspension. False ends the connection.
    func proceed(_ server: ServerCore) -> Bool {
        let isNew = state.withLock { state in
            guard !state.isComplete else { return false }
            state.isComplete = true
            state.deadline = Time.monotonicMilliseconds + server.patience.answer
            return true
        }
        if isNew {
            connection.deadline.store(0, ordering: .relaxed)
            switch plan {
            case .collect(_, _, let then):
                let whole = body
                body = []
                then(self, whole)
            case .stream(let reader): reader.end(self)
            case .answer, .waitForAnswer, nil: break
            }
            plan = nil
        }
        switch wait(server) {
        case .hasNoTime: return false
        // This is called again when the answer is there.
        case .isSuspended: return true
        case .isNotNeeded: return state.withLock { $0.response }.map { send($0, server) } ?? false
        }
    }

    /// The later a byte comes, the less patience is left, unless they come fast enough; but never more than there was at
    /// first, so that nobody sends much at once to keep it for long.
    private func keepPace(_ count: Int, _ configuration: HTTPConfiguration) {
        let hasPaused = state.withLock { state in
            defer { state.hasPaused = false }
            return state.hasPaused
        }
        let latest = Time.monotonicMilliseconds + bodyTimeout
        if hasPaused { pace = (latest, 0) }
        let rate = max(1, configuration.minBodyRate)
        let (earned, rest) = (pace.rest + count * 1000).quotientAndRemainder(dividingBy: rate)
        pace = (min(latest, pace.end + Int64(earned)), rest)
        connection.deadline.store(pace.end, ordering: .relaxed)
    }

    private enum Waiting { case isNotNeeded, isSuspended, hasNoTime }

    /// Suspends the connection if there is something to wait for. Then somebody resumes it, perhaps already, and it is
    /// not to be touched.
    private func wait(_ server: ServerCore) -> Waiting {
        let mustWait = state.withLock { state in
            guard state.mustWait else { return false }
            state.phase = .suspending
            // Whoever is kept waiting has its time anew; asking for a wait that was not needed earns nobody any.
            state.hasPaused = true
            return true
        }
        guard mustWait else { return .isNotNeeded }
        if server.isGivingUp.load(ordering: .sequentiallyConsistent) { return .hasNoTime }
        connection.deadline.store(0, ordering: .relaxed)
        unsafe MHD_suspend_connection(native)
        let (isReady, isComplete) = state.withLock { state in
            state.phase = state.mustWait ? .suspended : .waking
            return (!state.mustWait, state.isComplete)
        }
        if isReady { wake(isComplete) }
        return .isSuspended
    }

    private func send(_ response: HTTPResponse, _ server: ServerCore) -> Bool {
        let response = server.handler.dressed(response, for: request)
        let more = state.withLock { $0.headers }
        let message =
            if let feed = response.feed {
                unsafe FeedLink(feed, native, connection, server).message()
            } else {
                unsafe response.body.withUnsafeBytes { bytes in
                    unsafe MHD_create_response_from_buffer(
                        bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
                }
            }
        guard let message = unsafe message else { return false }
        defer { unsafe MHD_destroy_response(message) }
        unsafe Self.add(response.headers, to: message)
        unsafe Self.add(more, to: message)
        unsafe Self.add(server.configuration.answerHeaders, to: message)
        if response.closes || server.isQuiet.load(ordering: .relaxed) {
            unsafe MHD_add_response_header(message, "Connection", "close")
        }
        guard unsafe MHD_queue_response(native, UInt32(response.status), message) == .YES else { return false }
        // Whoever reads it slowly has time for its length, too.
        let length = Int64(response.body.count) * 1000 / Int64(max(1, server.configuration.minBodyRate))
        connection.deadline.store(server.lastSwept + server.patience.send + length, ordering: .relaxed)
        state.withLock { $0.status = response.status }
        return true
    }

    private static func add(_ fields: [HTTPRequest.Field], to message: OpaquePointer) {
        for field in fields {
            // Where they lie: as arguments they would be copied first.
            unsafe field.name.withCString { name in
                unsafe field.value.withCString { unsafe _ = MHD_add_response_header(message, name, $0) }
            }
        }
    }

    /// Nothing more will be asked of it. What was answered, when the answer got out.
    func end(_ isDone: Bool) -> Int? {
        // A reader may know its exchange.
        plan = nil
        let (status, feed) = state.withLock { state in
            state.phase = .over
            defer { state.response = nil }
            return (state.status, state.response?.feed)
        }
        feed?.end()
        return isDone ? status : nil
    }

    // MARK: On the keeper's thread

    /// Answers what waits too long.
    func expire(_ server: ServerCore, now: Int64) {
        let isLate = state.withLock {
            $0.response == nil && !$0.isDecided && $0.phase == .suspended && $0.deadline ?? .max <= now
        }
        if isLate { answer(server.handler.timeout(request)) }
    }

    /// The server ends: waits for nothing any more.
    func giveUp(_ server: ServerCore) {
        let response = server.handler.timeout(request)
        change { state in
            if state.response == nil { state.response = response }
            state.isPaused = false
        }
        feed?.finish()
    }

    private var feed: ResponseFeed? { state.withLock { $0.response?.feed } }
}
