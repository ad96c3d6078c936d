internal import Glibc
package import Platform

/// TCP ports of this machine.
package enum Ports {
    /// A port that nobody listens on at this moment.
    package static func free() throws(SystemError) -> UInt16 { try bind("127.0.0.1", 0) }

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
