import Glibc

/// A connection to a server on this machine that sends what it is told to, right or wrong, and reads answers.
///
/// What blocks runs on a thread of its own: the pool that tests share with what they test has as many as cores.
package final class RawHTTPClient: @unchecked Sendable {
    // Unchecked: a test uses it from one task.
    private let socket: Int32
    private var read: [UInt8] = []

    package struct Answer: Sendable {
        package let status: Int
        /// Names in lower case.
        package let headers: [String: String]
        package let body: String
    }

    package struct Broken: Error, CustomStringConvertible {
        package let description: String
    }

    package init(port: UInt16) throws {
        // No child of another test is to keep the connection open that this one closes.
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        unsafe setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard code == 0 else { throw Broken(description: "cannot connect to port \(port): errno \(errno)") }
    }

    deinit { close(socket) }

    /// Sends bytes; what the server no longer takes is not an error.
    package func send(_ bytes: some Sequence<UInt8>) async {
        let all = Array(bytes)
        await blocking { [socket] in
            var rest = all[...]
            while !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes {
                    unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    package func send(_ text: String) async { await send(text.utf8) }

    /// Sends a few bytes in one segment with the word that they were the last.
    package func sendLast(_ text: String) {
        let bytes = Array(text.utf8)
        unsafe _ = Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_MORE))
        finish()
    }

    /// Says that nothing more will be sent.
    package func finish() { shutdown(socket, Int32(SHUT_WR)) }

    /// The next answer; nil when the server has closed the connection.
    package func answer() async throws -> Answer? {
        while true {
            guard let head = try await head() else { return nil }
            var lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
            let words = lines.popFirst()?.split(separator: " ") ?? []
            guard words.count >= 2, let status = Int(words[1]) else { throw Broken(description: "no answer: \(head)") }
            var headers: [String: String] = [:]
            for line in lines {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
            }
            // Leave to go on is no answer, but a test may ask for it.
            let length = status == 100 ? 0 : Int(headers["content-length"] ?? "") ?? 0
            while read.count < length {
                guard try await more() else { throw Broken(description: "the answer is cut off") }
            }
            let body = String(decoding: read.prefix(length), as: UTF8.self)
            read.removeFirst(length)
            return Answer(status: status, headers: headers, body: body)
        }
    }

    /// Sends a request and reads its answer.
    package func ask(
        _ method: String, _ path: String, _ headers: [(String, String)] = [], body: some Sequence<UInt8> = "".utf8
    ) async throws -> Answer {
        let body = Array(body)
        var text = "\(method) \(path) HTTP/1.1\r\nHost: test\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if !body.isEmpty { text += "Content-Length: \(body.count)\r\n" }
        await send(Array((text + "\r\n").utf8) + body)
        guard let answer = try await answer() else { throw Broken(description: "closed without an answer") }
        return answer
    }

    /// All that the server sends up to and with this text; for what is no answer with a length.
    package func receive(upTo end: String) async throws -> String {
        while true {
            if let at = read.firstRange(of: Array(end.utf8)) {
                defer { read.removeSubrange(..<at.upperBound) }
                return String(decoding: read[..<at.upperBound], as: UTF8.self)
            }
            guard try await more() else { throw Broken(description: "closed before \(end.debugDescription)") }
        }
    }

    /// Whether the server closes the connection, with whatever it says before.
    package func isClosedByServer() async throws -> Bool {
        while try await more() {}
        return true
    }

    private func head() async throws -> String? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let at = read.firstRange(of: end) {
                let text = String(decoding: read[..<at.lowerBound], as: UTF8.self)
                read.removeSubrange(..<at.upperBound)
                return text
            }
            guard try await more() else { return nil }
        }
    }

    /// Reads what comes next; false at the end.
    private func more() async throws -> Bool {
        let (got, fault) = await blocking { [socket] in
            var fault: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                let got = unsafe recv(socket, buffer.baseAddress, buffer.count, 0)
                if got < 0 { fault = errno }
                count = max(0, got)
            }
            return (bytes, fault)
        }
        if fault == EAGAIN { throw Broken(description: "no answer for 120 s") }
        read += got
        return !got.isEmpty
    }

    private func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            OwnThread.run { continuation.resume(returning: body()) }
        }
    }
}

/// A thread that nobody waits for.
private final class OwnThread {
    private let body: @Sendable () -> Void

    private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    static func run(_ body: @escaping @Sendable () -> Void) {
        let start = unsafe Unmanaged.passRetained(OwnThread(body))
        var handle = pthread_t()
        let code = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<OwnThread>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        precondition(code == 0, "no thread for a test")
        pthread_detach(handle)
    }
}
