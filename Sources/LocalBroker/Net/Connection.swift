// One client's connection: frames in, responses out, in the order of their requests.
//
// Bytes are read into a scratch buffer that the loop lends; a frame that lies whole in it is handled where it lies, so
// that a produced batch goes from the socket to its file without another copy. Only a frame that is cut off at the
// buffer's end moves into memory of the connection's own, which is then filled exactly to the frame's end and freed.
//
// An answer may be due much later than its request (a long poll, a rebalance, a group commit) while later requests are
// already being served; `Exchange` keeps an answer's place in the row. What goes out is bytes and ranges of files; the
// latter cost no memory and go from the page cache to the socket by sendfile.

internal import CLinux
internal import Glibc
internal import Platform

/// A request's place in its connection's row of answers.
final class Exchange {
    private weak var origin: Connection?
    fileprivate var response: OutgoingFrame?
    fileprivate var isAnswered = false

    fileprivate init(_ connection: Connection) { origin = connection }

    /// Nil once the connection is closed, even if somebody still holds it: whatever is still computed for it is dropped.
    var connection: Connection? { origin.flatMap { $0.isClosed ? nil : $0 } }

    /// Gives the answer. `nil` means that this request has none (a produce request with acks=0).
    func answer(_ frame: OutgoingFrame?) {
        guard !isAnswered else { return }
        isAnswered = true
        guard let connection else { return }
        response = frame
        if let frame { connection.outputBytes += frame.count }
        connection.answersAreReady()
    }

    /// There is no answer that could be given: the connection ends.
    func fail(_ reason: CloseReason) {
        guard !isAnswered else { return }
        connection?.doom = reason
        answer(nil)
    }
}

/// A response as it goes out: bytes, with ranges of log files between them.
struct OutgoingFrame {
    var bytes: [UInt8]
    /// Each stands before the byte at its position, in ascending order.
    var slices: [(position: Int, slice: LogSlice)] = []

    var count: Int { slices.reduce(bytes.count) { $0 + $1.slice.count } }
}

@safe final class Connection {
    @unsafe enum Input {
        /// A whole frame without its length, valid during the call; may be changed in place.
        case frame(UnsafeMutableRawBufferPointer)
        case closed(CloseReason)
    }

    let id: UInt64
    let descriptor: Int32
    let peer: String
    private let limits: BrokerLimits
    /// Called when an answer is ready to be written; the loop writes all of them at the end of its turn.
    private let wantsToWrite: (Connection) -> Void

    private var partial = PartialFrame()
    /// Whole requests that were read but must wait until the client has taken some answers.
    private var backlog: UnsafeMutableRawBufferPointer?
    private var exchanges: [Exchange] = []
    private var firstExchange = 0
    private var output: [Chunk] = []
    private var firstChunk = 0
    /// Bytes of answers that were given and not taken, also of those that wait for an earlier one.
    fileprivate(set) var outputBytes = 0
    private(set) var isClosed = false
    /// When bytes last moved.
    private(set) var lastProgress: Int64
    /// When a client that keeps us waiting is taken for stalled. Each byte that moves puts it off by a millisecond, up
    /// to the whole of `stallMilliseconds`: so a slow line has all the time it needs, and a byte a second is not enough.
    private(set) var patienceEnds: Int64
    var isMarkedForWriting = false
    /// Set when the connection is to be closed instead of written to.
    var doom: CloseReason?
    /// What the loop has counted of `heldBytes` and `outputBytes`.
    var accounted = (held: 0, output: 0)
    /// What epoll was last told, so that it is only told changes.
    var isWatched = (readable: true, writable: false)

    private enum Chunk {
        case bytes([UInt8], Range<Int>)
        case file(LogSlice, sent: Int)
    }

    init(
        id: UInt64, descriptor: Int32, peer: String, limits: BrokerLimits, now: Int64,
        wantsToWrite: @escaping (Connection) -> Void
    ) {
        self.id = id
        self.descriptor = descriptor
        self.peer = peer
        self.limits = limits
        self.wantsToWrite = wantsToWrite
        lastProgress = now
        patienceEnds = now + limits.stallMilliseconds
    }

    deinit { precondition(isClosed, "a connection is closed before it is let go") }

    /// Bytes held for requests that are not handled yet. A length that was only announced costs nothing (see
    /// `PartialFrame.grow`) and does not count: else a few clients could use up what all may have with five bytes each.
    var heldBytes: Int { unsafe partial.count + (backlog?.count ?? 0) }
    /// Whether answers are still owed or on their way.
    var hasUnfinishedAnswers: Bool { firstExchange < exchanges.count || firstChunk < output.count }
    var hasOutput: Bool { firstChunk < output.count }
    /// Whether `receive` has something to do even if no further byte arrives.
    var hasBacklog: Bool { unsafe backlog != nil }
    /// A client that does not take its answers is not asked for more requests.
    var mayRead: Bool {
        exchanges.count - firstExchange < limits.pipelinedRequests && outputBytes < limits.queuedOutputBytes
    }
    /// Whether the other side keeps us waiting: in the middle of a frame, or with answers that it does not take.
    var isWaitingForPeer: Bool { partial.count > 0 && mayRead || hasOutput }

    private func moved(_ count: Int, now: Int64) {
        lastProgress = now
        patienceEnds = min(now + limits.stallMilliseconds, patienceEnds + Int64(count))
    }

    /// The client owes us nothing: what it will be given from here on counts anew.
    func renewPatience(now: Int64) { patienceEnds = now + limits.stallMilliseconds }

    /// Reads what is there, up to a fair share, and hands over each whole frame.
    func receive(scratch: UnsafeMutableRawBufferPointer, now: Int64, _ body: (Input) -> Void) {
        if let held = unsafe backlog {
            unsafe backlog = nil
            unsafe received(held, body)
            unsafe held.deallocate()
        }
        if !isWaitingForPeer { renewPatience(now: now) }
        var budget = limits.bytesPerTurn
        while budget > 0, !isClosed, mayRead {
            let wanted = partial.count > 0 ? unsafe partial.space : unsafe scratch
            let count = unsafe read(descriptor, wanted.baseAddress, wanted.count)
            guard count > 0 else {
                if count == 0 { unsafe body(.closed(partial.count > 0 ? .cutOff : .byPeer)) }
                if count < 0, errno != EAGAIN, errno != EINTR { unsafe body(.closed(.byPeer)) }
                return
            }
            moved(count, now: now)
            budget -= count
            if partial.count > 0 {
                unsafe receivedMoreOfAFrame(count, body)
            } else {
                unsafe received(UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]), body)
            }
            // A short read has emptied the socket.
            if count < wanted.count { return }
        }
    }

    private func received(_ bytes: UnsafeMutableRawBufferPointer, _ body: (Input) -> Void) {
        var position = 0
        while !isClosed, bytes.count - position >= 4 {
            guard mayRead else { return unsafe keep(UnsafeRawBufferPointer(rebasing: bytes[position...])) }
            guard let length = unsafe frameLength(bytes, position, body) else { return }
            let end = position + 4 + length
            guard end <= bytes.count else { break }
            unsafe body(.frame(UnsafeMutableRawBufferPointer(rebasing: bytes[(position + 4)..<end])))
            position = end
        }
        guard !isClosed, position < bytes.count else { return }
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
        // The length of the rest was checked above, if it is there at all.
        let frame = unsafe rest.count >= 4 ? 4 + Int(rest.loadUnaligned(as: UInt32.self).bigEndian) : 4
        unsafe partial.begin(with: rest, wanted: frame)
    }

    private func keep(_ rest: UnsafeRawBufferPointer) {
        let held = UnsafeMutableRawBufferPointer.allocate(byteCount: rest.count, alignment: 16)
        unsafe held.copyMemory(from: rest)
        unsafe backlog = held
    }

    private func receivedMoreOfAFrame(_ count: Int, _ body: (Input) -> Void) {
        partial.count += count
        guard partial.count == partial.wanted else { return }
        if partial.wanted == 4 {
            guard let length = unsafe frameLength(partial.bytes, 0, body) else { return }
            partial.grow(toWant: 4 + length)
            guard length == 0 else { return }
        }
        var whole = partial
        partial = PartialFrame()
        // The memory may be larger than the frame.
        unsafe body(.frame(UnsafeMutableRawBufferPointer(rebasing: whole.bytes[4..<whole.wanted])))
        whole.free()
    }

    private func frameLength(
        _ bytes: UnsafeMutableRawBufferPointer, _ position: Int, _ body: (Input) -> Void
    ) -> Int? {
        let length = unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self).bigEndian
        guard length <= limits.frameBytes else {
            unsafe body(.closed(.notAFrame(firstBytes: length)))
            return nil
        }
        return Int(length)
    }

    /// The place for the answer to the request that is being handled.
    func expectAnswer() -> Exchange {
        let exchange = Exchange(self)
        exchanges.append(exchange)
        return exchange
    }

    fileprivate func answersAreReady() {
        guard !isClosed, !isMarkedForWriting else { return }
        isMarkedForWriting = true
        wantsToWrite(self)
    }

    /// Writes the answers that are ready, in order, up to a fair share. False when the connection is broken.
    func send(now: Int64) -> Bool {
        if !isWaitingForPeer { renewPatience(now: now) }
        while firstExchange < exchanges.count, exchanges[firstExchange].isAnswered {
            if let frame = exchanges[firstExchange].response { queue(frame) }
            exchanges[firstExchange].response = nil
            firstExchange += 1
        }
        if firstExchange == exchanges.count {
            exchanges.removeAll(keepingCapacity: true)
            firstExchange = 0
        } else if firstExchange > 64 {
            exchanges.removeFirst(firstExchange)
            firstExchange = 0
        }
        var budget = limits.bytesPerTurn
        while firstChunk < output.count, budget > 0 {
            let sent: Int
            switch output[firstChunk] {
            case .bytes(let bytes, let range): sent = write(bytes, range)
            case .file(let slice, let done): sent = write(slice, done)
            }
            guard sent > 0 else { return sent == 0 }
            moved(sent, now: now)
            budget -= sent
            outputBytes -= sent
        }
        if firstChunk == output.count {
            output.removeAll(keepingCapacity: true)
            firstChunk = 0
        }
        return true
    }

    private func queue(_ frame: OutgoingFrame) {
        var position = 0
        for (at, slice) in frame.slices where slice.count > 0 {
            if at > position { output.append(.bytes(frame.bytes, position..<at)) }
            output.append(.file(slice, sent: 0))
            position = at
        }
        if position < frame.bytes.count { output.append(.bytes(frame.bytes, position..<frame.bytes.count)) }
    }

    /// Bytes written; 0 when the socket is full; below 0 when it is broken.
    private func write(_ bytes: [UInt8], _ range: Range<Int>) -> Int {
        // More follows: let the kernel put a response's head and the records behind it into the same packets.
        let flags = Int32(MSG_NOSIGNAL) | (firstChunk + 1 < output.count ? Int32(MSG_MORE) : 0)
        let sent = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress! + range.lowerBound, range.count, flags)
        }
        guard sent > 0 else { return errno == EAGAIN || errno == EINTR ? 0 : -1 }
        if sent == range.count {
            finishChunk()
        } else {
            output[firstChunk] = .bytes(bytes, (range.lowerBound + sent)..<range.upperBound)
        }
        return sent
    }

    private func write(_ slice: LogSlice, _ done: Int) -> Int {
        let wanted = min(slice.count - done, limits.bytesPerTurn)
        let sent = flotilla_sendfile(
            descriptor, slice.file.descriptor, Int(slice.position) + done, wanted)
        // A file that ends too early can't be repaired in the middle of a response: the client must ask again.
        guard sent > 0 else { return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1 }
        if done + sent == slice.count {
            finishChunk()
        } else {
            output[firstChunk] = .file(slice, sent: done + sent)
        }
        return sent
    }

    private func finishChunk() {
        output[firstChunk] = .bytes([], 0..<0)
        firstChunk += 1
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        partial.free()
        unsafe backlog?.deallocate()
        unsafe backlog = nil
        exchanges.removeAll()
        output.removeAll()
        firstExchange = 0
        firstChunk = 0
        outputBytes = 0
        Glibc.close(descriptor)
    }
}

/// The bytes of a frame that is still arriving, its length first.
@safe private struct PartialFrame {
    private(set) var bytes = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    var count = 0
    /// How many bytes there will be, as far as is known: 4 until the length has arrived.
    private(set) var wanted = 0

    var space: UnsafeMutableRawBufferPointer { unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[count..<wanted]) }

    mutating func begin(with first: UnsafeRawBufferPointer, wanted: Int) {
        unsafe bytes = .allocate(byteCount: max(wanted, 64), alignment: 16)
        unsafe bytes.copyMemory(from: first)
        count = first.count
        self.wanted = wanted
    }

    /// Memory for the whole frame. The system gives pages only as they are filled, so a lie about the length costs us
    /// nothing but addresses.
    mutating func grow(toWant wanted: Int) {
        self.wanted = wanted
        guard unsafe wanted > bytes.count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: wanted, alignment: 16)
        unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        unsafe bytes.deallocate()
        unsafe bytes = larger
    }

    mutating func free() {
        unsafe bytes.deallocate()
        unsafe bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        count = 0
        wanted = 0
    }
}

func makeNonBlocking(_ descriptor: Int32) {
    _ = flotilla_set_nonblocking(descriptor)
}
