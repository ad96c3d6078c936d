import Glibc
import Synchronization

/// A server on a real socket that answers requests as its script says: by the path, and how often that was asked.
final class Receiver: Sendable {
    struct Request: Sendable {
        let path: String
        /// Names in lower case.
        let headers: [String: String]
        let body: [UInt8]
    }

    enum Reply: Sendable {
        case status(Int, headers: [String] = [], body: String = "")
        /// Says nothing, until the client goes.
        case hang
        /// A byte now and then.
        case drip
        /// A body without end.
        case flood
        case hangUp
        /// What is no HTTP.
        case noise
    }

    let port: UInt16
    private let listener: Int32
    private let script: @Sendable (Request, _ count: Int) -> Reply
    private let seen = Mutex<[Request]>([])
    private let isClosed = Atomic(false)

    var requests: [Request] { seen.withLock { $0 } }
    func requests(to path: String) -> [Request] { requests.filter { $0.path == path } }

    init(_ script: @escaping @Sendable (Request, _ count: Int) -> Reply) throws {
        self.script = script
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let bound = unsafe bind(listener, address, size)
                unsafe getsockname(listener, address, &size)
                return bound
            }
        }
        guard code == 0, listen(listener, 256) == 0 else { throw Broken() }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        thread { self.accepting() }
    }

    struct Broken: Error {}

    func close() {
        isClosed.store(true, ordering: .relaxed)
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func thread(_ body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var handle = pthread_t()
        let box = unsafe Unmanaged.passRetained(Box(body))
        unsafe pthread_create(
            &handle, nil,
            { argument in
                if let argument = unsafe argument {
                    let box = unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                    box.body()
                }
                return nil
            }, box.toOpaque())
        pthread_detach(handle)
    }

    private func accepting() {
        while !isClosed.load(ordering: .relaxed) {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            thread { self.serve(client) }
        }
        Glibc.close(listener)
    }

    private func serve(_ client: Int32) {
        defer { Glibc.close(client) }
        while let request = read(client) {
            let count = seen.withLock { seen in
                seen.append(request)
                return seen.count { $0.path == request.path }
            }
            switch script(request, count) {
            case .status(let status, let headers, let body):
                let lines = ["HTTP/1.1 \(status) X", "Content-Length: \(body.utf8.count)"] + headers
                guard send(client, lines.joined(separator: "\r\n") + "\r\n\r\n" + body) else { return }
            case .hang:
                var byte: UInt8 = 0
                unsafe _ = recv(client, &byte, 1, 0)
                return
            case .drip:
                guard send(client, "HTTP/1.1 200 OK\r\nX-Slow: ") else { return }
                while !isClosed.load(ordering: .relaxed), send(client, "x") { usleep(50_000) }
                return
            case .flood:
                guard send(client, "HTTP/1.1 200 OK\r\n\r\n") else { return }
                while !isClosed.load(ordering: .relaxed), send(client, String(repeating: "x", count: 65_536)) {}
                return
            case .hangUp: return
            case .noise:
                _ = send(client, "\u{0}\u{1}HHHHHHHH\r\n\r\n")
                return
            }
        }
    }

    private func send(_ client: Int32, _ text: String) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    private func read(_ client: Int32) -> Request? {
        var bytes: [UInt8] = []
        func fill() -> Bool {
            var piece = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe recv(client, &piece, piece.count, 0)
            guard count > 0 else { return false }
            bytes += piece[..<count]
            return true
        }
        let end = Array("\r\n\r\n".utf8)
        while bytes.firstRange(of: end) == nil { guard fill() else { return nil } }
        guard let gap = bytes.firstRange(of: end) else { return nil }
        let lines = String(decoding: bytes[..<gap.lowerBound], as: UTF8.self).split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        }
        let length = Int(headers["content-length"] ?? "0") ?? 0
        while bytes.count < gap.upperBound + length { guard fill() else { return nil } }
        let path = lines.first?.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        return Request(path: path, headers: headers, body: Array(bytes[gap.upperBound..<(gap.upperBound + length)]))
    }
}
