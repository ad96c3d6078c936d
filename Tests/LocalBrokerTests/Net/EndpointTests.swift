import Testing

@testable import LocalBroker

@Suite struct EndpointTests {
    @Test(
        arguments: [
            ("127.0.0.1:9092", "127.0.0.1", 9092), ("localhost:0", "localhost", 0), ("[::1]:65535", "::1", 65535),
            ("a.b-c:1", "a.b-c", 1),
        ] as [(String, String, UInt16)])
    func readsAndWritesTheSame(text: String, host: String, port: UInt16) {
        let endpoint = Endpoint(text)
        #expect(endpoint == Endpoint(host: host, port: port))
        #expect(endpoint?.description == text)
    }

    @Test(
        arguments: [
            "", ":", "localhost", "localhost:", ":9092", "localhost:65536", "localhost:-1", "localhost:x", "::1:9092",
            "[::1]", "[]:9092", "[::1:9092", "localhost: 9092", String(repeating: "h", count: 256) + ":1",
        ])
    func refuses(text: String) { #expect(Endpoint(text) == nil) }

    @Test func listensWhereOnlyThisMachineReaches() throws {
        let loopback = try Listener(Endpoint(host: "127.0.0.1", port: 0), insecure: false)
        #expect(loopback.port > 0)
        let named = try Listener(Endpoint(host: "localhost", port: 0), insecure: false)
        #expect(named.port > 0)
        for host in ["0.0.0.0", "::"] {
            let fault = #expect(throws: BrokerFault.self) {
                try Listener(Endpoint(host: host, port: 0), insecure: false)
            }
            #expect("\(fault.map { "\($0)" } ?? "")".contains("--insecure"))
        }
        #expect(try Listener(Endpoint(host: "0.0.0.0", port: 0), insecure: true).port > 0)
    }

    @Test func saysWhoHasThePort() throws {
        let first = try Listener(Endpoint(host: "127.0.0.1", port: 0), insecure: false)
        let fault = #expect(throws: BrokerFault.self) {
            try Listener(Endpoint(host: "127.0.0.1", port: first.port), insecure: false)
        }
        #expect("\(fault.map { "\($0)" } ?? "")".contains("ss -ltnp"))
        #expect(throws: BrokerFault.self) {
            try Listener(Endpoint(host: "no such host", port: 0), insecure: false)
        }
    }
}
