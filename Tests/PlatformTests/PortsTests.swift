import Platform
import Testing

@Suite struct PortsTests {
    @Test func freePortsDifferAndAreNotTheKernels() throws {
        let ports = try (0..<50).map { _ in try Ports.free() }
        #expect(Set(ports).count == 50)
        // What the kernel gives out by itself begins here.
        let text = try #require(try Files.read("/proc/sys/net/ipv4/ip_local_port_range", limit: 100))
        let first = try #require(Int(String(decoding: text.prefix { $0 >= UInt8(ascii: "0") }, as: UTF8.self)))
        #expect(ports.allSatisfy { $0 >= 1024 && Int($0) < first })
        for port in ports { try Ports.check("127.0.0.1", port) }
    }
}
