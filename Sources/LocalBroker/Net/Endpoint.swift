internal import Glibc
internal import Platform

/// A host and a port, as `--listen` and `--advertise` take them: `127.0.0.1:9092`, `localhost:9092`, `[::1]:9092`.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Nil when the text is not a host and a port.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.count <= 255 else { return nil }
        self.init(host: String(host), port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A socket that listens; its connections come out non-blocking.
final class Listener {
    let descriptor: Int32
    /// Where it really listens: the port that the system chose, if it was asked for port 0.
    let port: UInt16

    /// Binds `endpoint`. Unless `insecure`, only an address that cannot be reached from another machine is accepted:
    /// there is no authentication behind it.
    init(_ endpoint: Endpoint, insecure: Bool) throws(BrokerFault) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(HostName.resolvable(endpoint.host), "\(endpoint.port)", &hints, &found)
        guard code == 0, let address = unsafe found, let bytes = unsafe address.pointee.ai_addr else {
            let reason = unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "unknown host"
            throw BrokerFault("cannot listen on \(endpoint): \(reason)")
        }
        defer { unsafe freeaddrinfo(address) }
        guard unsafe insecure || Self.isLoopback(bytes) else {
            throw BrokerFault(
                "refusing to listen on \(endpoint): anyone who reaches it may read, write and delete everything. "
                    + "Listen on 127.0.0.1, or say --insecure if that is what you want")
        }
        // A child of this process must not keep the port when the broker is gone.
        let socket = unsafe socket(
            address.pointee.ai_family, address.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue),
            address.pointee.ai_protocol)
        guard socket >= 0 else { throw BrokerFault("cannot listen on \(endpoint): \(SystemError.last("socket"))") }
        do throws(SystemError) {
            var on: Int32 = 1
            unsafe setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
            guard unsafe bind(socket, bytes, address.pointee.ai_addrlen) == 0 else {
                throw SystemError.last("bind")
            }
            guard listen(socket, 512) == 0 else { throw SystemError.last("listen") }
            port = try Self.boundPort(of: socket)
        } catch {
            close(socket)
            let hint = error.code == EADDRINUSE ? ". Another process has the port: see ss -ltnp" : ""
            throw BrokerFault("cannot listen on \(endpoint): \(error)\(hint)")
        }
        descriptor = socket
        makeNonBlocking(socket)
    }

    deinit { close(descriptor) }

    private static func isLoopback(_ address: UnsafeMutablePointer<sockaddr>) -> Bool {
        switch unsafe Int32(address.pointee.sa_family) {
        case AF_INET:
            return unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                unsafe UInt32(bigEndian: $0.pointee.sin_addr.s_addr) >> 24 == 127
            }
        case AF_INET6:
            return unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                unsafe withUnsafeBytes(of: $0.pointee.sin6_addr) { bytes in
                    unsafe bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
                }
            }
        default:
            return false
        }
    }

    private static func boundPort(of socket: Int32) throws(SystemError) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = unsafe withUnsafeMutablePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(socket, $0, &length) }
        }
        guard code == 0 else { throw SystemError.last("getsockname") }
        // The port stands at the same place in both families.
        return unsafe withUnsafeBytes(of: storage) { unsafe UInt16($0[2]) << 8 | UInt16($0[3]) }
    }
}

/// `address:port` of a socket's other side, for the log.
func peerName(of socket: Int32) -> String {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return unsafe withUnsafeMutablePointer(to: &storage) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            guard unsafe getpeername(socket, address, &length) == 0 else { return "unknown" }
            var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            var port = [CChar](repeating: 0, count: 32)
            let code = unsafe getnameinfo(
                address, length, &host, socklen_t(host.count), &port, socklen_t(port.count),
                NI_NUMERICHOST | NI_NUMERICSERV)
            guard code == 0 else { return "unknown" }
            return "\(text(host)):\(text(port))"
        }
    }
}

private func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
