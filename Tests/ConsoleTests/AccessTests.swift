import HTTP
import Testing
import WebAPI

@testable import Console

@Suite struct AccessTests {
    @Test func aTokenIsItsOwners() throws {
        let (olga, first) = ConsoleTokens.make(ConsoleUser("olga", .operate))
        let (rita, second) = ConsoleTokens.make(ConsoleUser("rita", .read))
        let tokens = try ConsoleTokens("\(first), \(second)")
        #expect(tokens.user(of: olga) == ConsoleUser("olga", .operate))
        #expect(tokens.user(of: rita) == ConsoleUser("rita", .read))
        for text in ["", "flc_", String(olga.dropLast()), olga + "0", first] { #expect(tokens.user(of: text) == nil) }
        #expect(!first.contains(olga))
        #expect(ConsoleRole.operate.may(.read) && !ConsoleRole.read.may(.operate))
    }

    @Test(arguments: [
        "", ",", "olga", "olga:operate", "olga:admin:00", "olga:read:00", "ol ga:read:00", ":read:00",
        "olga:read:\(String(repeating: "é", count: 64))", "olga:read:\(String(repeating: "0", count: 63))",
    ]) func whatIsNoListOfTokensIsRefused(text: String) {
        #expect(throws: ConsoleTokens.Fault.self) { try ConsoleTokens(text) }
    }

    @Test func aFaultSaysNothingThatMayBeSecret() {
        let fault = #expect(throws: ConsoleTokens.Fault.self) { try ConsoleTokens("olga:read:my-password") }
        #expect(fault?.description.contains("my-password") == false)
    }

    @Test func twoOfANameAreOneTooMany() {
        let entry = ConsoleTokens.make(ConsoleUser("olga", .read)).entry
        #expect(throws: ConsoleTokens.Fault.self) { try ConsoleTokens("\(entry),\(entry)") }
    }

    @Test(arguments: [
        ("localhost", "localhost"), ("LocalHost:8081", "localhost"), ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8081", "::1"),
        ("[::1]", "::1"), ("", nil), (":80", nil), ("a:b", nil), ("a:99999", nil), ("[::1", nil), ("[::1]x", nil),
        ("a:1:2", nil),
    ]) func theNameOfAHost(text: String, name: String?) {
        #expect(Gate.hostName(text) == name)
    }

    private let gate = Gate(hosts: ["localhost", "console.example"], tokens: nil, open: ConsoleUser("me", .operate))

    private func request(_ headers: [(String, String)]) -> HTTPRequest {
        HTTPRequest(method: "POST", path: "/", headers: headers.map { HTTPRequest.Field($0.0, $0.1) })
    }

    @Test func onlyOurNamesLeadHere() {
        #expect(gate.misdirection(request([("host", "localhost:8081")])) == nil)
        #expect(gate.misdirection(request([("host", "CONSOLE.example")])) == nil)
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "localhost:x"] {
            #expect(gate.misdirection(request([("host", host)]))?.status == 421)
        }
        #expect(gate.misdirection(request([]))?.status == 421)
    }

    @Test func noPageOfOthersMayAsk() throws {
        let ours = [("host", "localhost:8081"), ("x-flotilla-console", "1")]
        try gate.checkOrigin(request(ours), changes: true)
        try gate.checkOrigin(request(ours + [("origin", "http://localhost:8081")]), changes: true)
        try gate.checkOrigin(request([("host", "localhost:8081")]), changes: false)
        for headers in [
            [("host", "localhost:8081")], ours + [("origin", "http://evil.example")], ours + [("origin", "null")],
            ours + [("origin", "http://localhost:9999")], ours + [("origin", "http://localhost:8081/x")],
            ours + [("sec-fetch-site", "cross-site")], ours + [("sec-fetch-site", "same-site")],
        ] {
            #expect(throws: (any Error).self) { try gate.checkOrigin(request(headers), changes: true) }
        }
        #expect(throws: (any Error).self) {
            try gate.checkOrigin(request([("host", "localhost"), ("sec-fetch-site", "cross-site")]), changes: false)
        }
    }

    @Test func whoShowsNoTokenIsNobody() throws {
        let (token, entry) = ConsoleTokens.make(ConsoleUser("rita", .read))
        let closed = Gate(hosts: [], tokens: try ConsoleTokens(entry), open: nil)
        #expect(try closed.user(request([("authorization", "Bearer \(token)")])).name == "rita")
        #expect(try closed.user(request([("authorization", "bearer  \(token)")])).name == "rita")
        for headers in [
            [], [("authorization", token)], [("authorization", "Basic \(token)")], [("authorization", "Bearer")],
            [("authorization", "Bearer \(token) \(token)")],
            [("authorization", "Bearer \(token)"), ("authorization", "Bearer \(token)")],
        ] {
            #expect(throws: (any Error).self) { try closed.user(request(headers)) }
        }
    }
}
