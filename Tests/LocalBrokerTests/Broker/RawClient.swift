import Glibc
import Testing

/// What a raw client can run into. `closed` is the broker hanging up; `silent` is no answer within the socket's limit,
/// which is far above what anything here takes and so means that none will come.
enum RawClientFault: Error, Equatable {
    case cannotConnect(Int32)
    case closed
    case silent
    case shortAnswer
    case wrongAnswer(correlation: Int32, expected: Int32)
}

/// A client that says exactly what a test wants said: a blocking socket, and frames of bytes. It shares no code with the
/// broker, so that the two cannot agree on the same mistake.
final class RawClient {
    private let socket: Int32
    private var nextCorrelation: Int32 = 1
    private var isOpen = true

    /// Connects. `receiveBuffer` makes the kernel's share of what is not read small.
    init(_ port: UInt16, receiveBuffer: Int32? = nil, patience seconds: Int = 60) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(socket >= 0)
        if var size = receiveBuffer {
            _ = unsafe setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(socket, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        var on: Int32 = 1
        unsafe setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            let reason = errno
            close()
            throw RawClientFault.cannotConnect(reason)
        }
    }

    deinit { close() }

    func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(socket)
    }

    /// Hangs up at once, with a reset instead of a farewell.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(socket, $0.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw errno == EAGAIN ? RawClientFault.silent : RawClientFault.closed }
            done += count
        }
    }

    /// Sends what fits without waiting, and says how much that was.
    func sendWhatFits(_ bytes: [UInt8]) throws -> Int {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(socket, $0.baseAddress, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        if count < 0, errno == EAGAIN { return 0 }
        guard count >= 0 else { throw RawClientFault.closed }
        return count
    }

    /// Exactly `count` bytes.
    func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let received = unsafe bytes.withUnsafeMutableBytes {
                unsafe recv(socket, $0.baseAddress! + done, count - done, 0)
            }
            if received < 0, errno == EINTR { continue }
            if received < 0, errno == EAGAIN { throw RawClientFault.silent }
            guard received > 0 else { throw RawClientFault.closed }
            done += received
        }
        return bytes
    }

    /// Waits until the broker hangs up, and throws away what it says before.
    func waitUntilClosed() throws {
        do {
            while true { _ = try receive(1) }
        } catch RawClientFault.closed {
            return
        }
    }

    // MARK: Frames

    /// Sends a request without waiting for the answer; returns the number by which to know it.
    @discardableResult
    func request(_ api: Int16, _ version: Int16, _ body: WireBody) throws -> Int32 {
        let correlation = nextCorrelation
        nextCorrelation += 1
        try send(Self.frame(api, version, correlation, body))
        return correlation
    }

    static func frame(_ api: Int16, _ version: Int16, _ correlation: Int32, _ body: WireBody) -> [UInt8] {
        var frame = WireBody()
        frame.int16(api)
        frame.int16(version)
        frame.int32(correlation)
        frame.string("raw")
        return framed(frame.bytes + body.bytes)
    }

    static func framed(_ bytes: [UInt8]) -> [UInt8] { RecordBatchBuilder.integer(UInt32(bytes.count)) + bytes }

    /// The next answer, whichever request it is to.
    func answer() throws -> (correlation: Int32, body: AnswerReader) {
        var head = AnswerReader(try receive(4))
        var body = AnswerReader(try receive(Int(try head.int32())))
        return (try body.int32(), body)
    }

    func answer(to correlation: Int32) throws -> AnswerReader {
        let (found, body) = try answer()
        guard found == correlation else {
            throw RawClientFault.wrongAnswer(correlation: found, expected: correlation)
        }
        return body
    }

    func call(_ api: Int16, _ version: Int16, _ body: WireBody = WireBody()) throws -> AnswerReader {
        try answer(to: try request(api, version, body))
    }
}

/// The fields of a request, in the encoding of inflexible versions.
struct WireBody {
    private(set) var bytes: [UInt8] = []

    init() {}
    init(_ build: (inout WireBody) -> Void) { build(&self) }
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func put<Value: FixedWidthInteger>(_ value: Value) { bytes += RecordBatchBuilder.integer(value) }
    mutating func int8(_ value: Int8) { put(value) }
    mutating func int16(_ value: Int16) { put(value) }
    mutating func int32(_ value: Int32) { put(value) }
    mutating func int64(_ value: Int64) { put(value) }

    mutating func string(_ text: String?) {
        int16(Int16(text?.utf8.count ?? -1))
        bytes += Array((text ?? "").utf8)
    }

    mutating func data(_ data: [UInt8]) {
        int32(Int32(data.count))
        bytes += data
    }

    mutating func array<Element>(_ elements: [Element], _ each: (inout WireBody, Element) -> Void) {
        int32(Int32(elements.count))
        for element in elements { each(&self, element) }
    }
}

/// The fields of an answer; one that is too short is a fault.
struct AnswerReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func take(_ count: Int) throws -> [UInt8] {
        guard count >= 0, count <= bytes.count - position else { throw RawClientFault.shortAnswer }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    private mutating func number(_ width: Int) throws -> UInt64 {
        try take(width).reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func int8() throws -> Int8 { Int8(truncatingIfNeeded: try number(1)) }
    mutating func int16() throws -> Int16 { Int16(truncatingIfNeeded: try number(2)) }
    mutating func int32() throws -> Int32 { Int32(truncatingIfNeeded: try number(4)) }
    mutating func int64() throws -> Int64 { Int64(truncatingIfNeeded: try number(8)) }

    mutating func string() throws -> String? {
        let count = try int16()
        return count < 0 ? nil : String(decoding: try take(Int(count)), as: UTF8.self)
    }

    mutating func data() throws -> [UInt8] {
        let count = try int32()
        return count < 0 ? [] : try take(Int(count))
    }

    mutating func array<Element>(_ each: (inout AnswerReader) throws -> Element) throws -> [Element] {
        let count = try int32()
        return try (0..<max(0, count)).map { _ in try each(&self) }
    }
}
