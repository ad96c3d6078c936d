internal import Glibc

/// An IP address, judged by who can have it.
///
/// Whoever may name an endpoint could otherwise have us ask what only we can reach: a database's port, a cloud's metadata.
package struct NetworkAddress: Hashable, Sendable {
    /// 4 bytes or 16.
    package let bytes: [UInt8]

    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    package init?(text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if unsafe inet_pton(AF_INET, text, &v4) == 1 {
            bytes = unsafe withUnsafeBytes(of: v4) { unsafe Array($0) }
        } else if unsafe inet_pton(AF_INET6, text, &v6) == 1 {
            bytes = unsafe withUnsafeBytes(of: v6) { unsafe Array($0) }
        } else {
            return nil
        }
    }

    @unsafe init?(_ address: UnsafePointer<sockaddr>?) {
        guard let address = unsafe address else { return nil }
        switch unsafe Int32(address.pointee.sa_family) {
        case AF_INET:
            bytes = unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { v4 in
                unsafe withUnsafeBytes(of: v4.pointee.sin_addr) { unsafe Array($0) }
            }
        case AF_INET6:
            bytes = unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { v6 in
                unsafe withUnsafeBytes(of: v6.pointee.sin6_addr) { unsafe Array($0) }
            }
        case _: return nil
        }
    }

    /// Whether it is one of the internet's. What IANA keeps for special purposes is none, and neither is an IPv6 address
    /// with such an IPv4 address within.
    package var isPublic: Bool {
        if bytes.count == 4 { return Self.isPublic(bytes[0], bytes[1], bytes[2]) }
        if let within = embedded { return Self.isPublic(within[0], within[1], within[2]) }
        // All that is given out for the internet is in 2000::/3, and there are exceptions within.
        guard bytes[0] & 0xe0 == 0x20 else { return false }
        let isSpecial = bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02  // 2001::/23, Teredo and others
        let isDocumentation =
            bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0x0d && bytes[3] == 0xb8
            || bytes[0] == 0x3f && bytes[1] == 0xff && bytes[2] < 0x10
        return !isSpecial && !isDocumentation
    }

    /// The IPv4 address in an IPv6 one: mapped, NAT64, 6to4.
    private var embedded: ArraySlice<UInt8>? {
        func begins(_ prefix: [UInt8], _ count: Int) -> Bool {
            Array(bytes.prefix(count)) == prefix + [UInt8](repeating: 0, count: count - prefix.count)
        }
        func slice(_ range: Range<Int>) -> ArraySlice<UInt8> { ArraySlice(Array(bytes[range])) }
        let zeros = [UInt8](repeating: 0, count: 10)
        if Array(bytes.prefix(12)) == zeros + [0xff, 0xff] { return slice(12..<16) }
        if begins([0x00, 0x64, 0xff, 0x9b], 12) { return slice(12..<16) }
        if bytes[0] == 0x20, bytes[1] == 0x02 { return slice(2..<6) }
        return nil
    }

    private static func isPublic(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> Bool {
        switch (a, b, c) {
        case (0, _, _), (10, _, _), (127, _, _): false
        case (100, 64...127, _): false  // carriers' NAT
        case (169, 254, _): false  // link-local, and clouds' metadata
        case (172, 16...31, _), (192, 168, _): false
        case (192, 0, 0), (192, 0, 2), (198, 51, 100), (203, 0, 113): false  // protocols, documentation
        case (192, 88, 99): false  // 6to4 relays
        case (198, 18...19, _): false  // benchmarks
        case (224..., _, _): false  // multicast, reserved, broadcast
        case _: true
        }
    }
}
