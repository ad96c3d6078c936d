internal import Glibc
internal import Synchronization

/// TCP ports of this machine.
package enum Ports {
    private static let given = Mutex<Set<UInt16>>([])

    /// A port that nobody listens on at this moment, another one each time.
    ///
    /// It lies below those that the kernel gives out by itself. One of those could be lost while its server is started
    /// anew: to any connection as its own end, even to that of a client that tries to reach the server.
    package static func free() throws(SystemError) -> UInt16 {
        let own = firstOfTheKernel
        for _ in 0..<1000 {
            let port = UInt16.random(in: max(1024, own - min(own, 16_000))..<max(1025, own))
            guard given.withLock({ $0.insert(port).inserted }) else { continue }
            if (try? check("127.0.0.1", port)) != nil { return port }
        }
        return try bind("127.0.0.1", 0)
    }

    private static var firstOfTheKernel: UInt16 {
        let text = try? Files.read("/proc/sys/net/ipv4/ip_local_port_range", limit: 100)
        let first = text?.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } ?? []
        return UInt16(String(decoding: first, as: UTF8.self)) ?? 32_768
    }

    /// Whether somebody could listen there now; throws why not.
    package static func check(_ host: String, _ port: UInt16) throws(SystemError) { _ = try bind(host, port) }

    private static func bind(_ host: String, _ port: UInt16) throws(SystemError) -> UInt16 {
        let subject = "\(host):\(port)"
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        // Another kind of address is for who listens there to judge.
        guard unsafe inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host, &address.sin_addr) == 1 else {
            return port
        }
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { throw SystemError.last("socket", subject) }
        defer { close(file) }
        // As servers do it: connections that have ended do not keep a port.
        var yes: Int32 = 1
        unsafe setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return try unsafe withUnsafeMutablePointer(to: &address) { place throws(SystemError) in
            try unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { place throws(SystemError) in
                guard unsafe Glibc.bind(file, place, size) == 0, listen(file, 1) == 0 else {
                    throw SystemError.last("listen", subject)
                }
                guard unsafe getsockname(file, place, &size) == 0 else {
                    throw SystemError.last("getsockname", subject)
                }
            }
            return unsafe UInt16(bigEndian: place.pointee.sin_port)
        }
    }

    /// Whether somebody listens there.
    package static func listens(_ port: UInt16) -> Bool {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(file) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        return unsafe withUnsafePointer(to: &address) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
