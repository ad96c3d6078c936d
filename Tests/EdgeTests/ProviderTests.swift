import HTTP
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Edge

/// An identity provider of this process.
private final class Provider: RequestHandler {
    private let pages = Mutex<[String: String]>([:])
    private let asked = Mutex(0)

    func set(_ path: String, _ text: String?) { pages.withLock { $0[path] = text } }
    var count: Int { asked.withLock { $0 } }

    func begin(_ exchange: Exchange) -> BodyPlan {
        asked.withLock { $0 += 1 }
        guard let text = pages.withLock({ $0[exchange.request.path] }) else { return .answer(.text(404, "")) }
        if text.hasPrefix("http") { return .answer(HTTPResponse(302, headers: [HTTPRequest.Field("Location", text)])) }
        return .answer(HTTPResponse(200, "application/json", Array(text.utf8)))
    }

    func refusal(_ status: Int, _ detail: String) -> HTTPResponse { .text(status, detail) }
    func timeout(_ request: HTTPRequest) -> HTTPResponse { .text(503, "") }
    func overload(_ request: HTTPRequest) -> HTTPResponse { .text(503, "") }
    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse { response }
    func finished(_ exchange: Exchange, status: Int?) {}
}

@Suite(.inTurns) struct ProviderTests {
    private static let log = Log(level: .error, format: .text)

    private func with(_ body: (Provider, HTTPServer) async throws -> Void) async throws {
        let provider = Provider()
        let server = try HTTPServer(HTTPConfiguration(), provider)
        do { try await body(provider, server) } catch {
            server.stop()
            throw error
        }
        server.stop()
    }

    /// Who a token names, or how it is refused.
    private func ask(_ verifier: TokenVerifier, _ token: String, at now: Int64) -> String {
        do throws(TokenRefusal) {
            return try verifier.caller(of: token, now: now, wall: 1_500_000_000_000).name
        } catch { return error.retryAfter == nil ? "no" : "later" }
    }

    @Test func keysOfAURLRotate() async throws {
        try await with { provider, server in
            let both = SignedTokens.jwks
            provider.set("/keys", both.replacing("\"e1\"", with: "\"e0\""))
            let verifier = try TokenVerifier(
                .url("http://127.0.0.1:\(server.port)/keys"), issuer: "https://id.example", audience: "flotilla",
                log: Self.log, now: 0)
            let name = "jwt:shop"
            #expect(ask(verifier, SignedTokens.rs256, at: 0) == name)
            #expect(ask(verifier, SignedTokens.es256, at: 1) == "later")
            provider.set("/keys", both)
            // However many tokens of unknown keys come, the provider is left alone for a while. What it would say of them
            // nobody knows yet: whose key is new is not told that it is wrong.
            for now in 1...100 { #expect(ask(verifier, SignedTokens.unknownKey, at: Int64(now * 300)) == "later") }
            #expect(provider.count == 1)
            #expect(["later", name].contains(ask(verifier, SignedTokens.es256, at: 30_001)))
            try await eventually { ask(verifier, SignedTokens.es256, at: 30_002) == name }
            #expect(provider.count == 2)
            #expect(ask(verifier, SignedTokens.rs256, at: 30_003) == name)
            #expect(ask(verifier, SignedTokens.unknownKey, at: 30_004) == "no")
            // The provider says nothing that is right any more: the keys of before hold, for a day.
            provider.set("/keys", nil)
            #expect(ask(verifier, SignedTokens.rs256, at: 700_000) == name)
            try await eventually { provider.count == 3 }
            #expect(ask(verifier, SignedTokens.rs256, at: 700_001) == name)
            try await eventually { ask(verifier, SignedTokens.rs256, at: 80_000_000) == name }
            #expect(ask(verifier, SignedTokens.rs256, at: 86_430_002) == "later")
        }
    }

    /// Keys that were taken back hold no longer than until the next look, however long ago the last one was.
    @Test func keysThatAreTakenBackDoNotHold() async throws {
        try await with { provider, server in
            provider.set("/keys", SignedTokens.jwks)
            let verifier = try TokenVerifier(
                .url("http://127.0.0.1:\(server.port)/keys"), issuer: "https://id.example", audience: "flotilla",
                log: Self.log, now: 0)
            #expect(ask(verifier, SignedTokens.rs256, at: 0) == "jwt:shop")
            #expect(ask(verifier, SignedTokens.es256, at: 0) == "jwt:shop")
            provider.set("/keys", SignedTokens.jwks.replacing("\"e1\"", with: "\"e0\""))
            // Nobody has asked for an hour.
            #expect(ask(verifier, SignedTokens.es256, at: 3_600_000) != "jwt:shop")
            try await eventually { ask(verifier, SignedTokens.rs256, at: 3_600_001) == "jwt:shop" }
            #expect(ask(verifier, SignedTokens.es256, at: 3_600_002) != "jwt:shop")
            provider.set("/keys", "{\"keys\":[]}")
            _ = ask(verifier, SignedTokens.rs256, at: 4_300_000)
            try await eventually { ask(verifier, SignedTokens.rs256, at: 4_300_001) == "later" }
            try await eventually { ask(verifier, SignedTokens.rs256, at: 4_340_000) == "no" }
        }
    }

    @Test func aFileThatIsGoneTakesItsKeysWithIt() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/jwks"
        try Files.create(path, SignedTokens.jwks)
        let verifier = try TokenVerifier(
            .file(path), issuer: nil, audience: "flotilla", log: Self.log, now: 0)
        #expect(ask(verifier, SignedTokens.rs256, at: 0) == "jwt:shop")
        try folder.replace("jwks", "{")
        #expect(ask(verifier, SignedTokens.rs256, at: 3000) == "jwt:shop")
        try folder.replace("jwks", nil)
        #expect(ask(verifier, SignedTokens.rs256, at: 6000) == "no")
        try folder.replace("jwks", SignedTokens.jwks)
        #expect(ask(verifier, SignedTokens.rs256, at: 9000) == "jwt:shop")
        try folder.replace("jwks", "{\"keys\":[]}")
        #expect(ask(verifier, SignedTokens.rs256, at: 12_000) == "no")
    }

    @Test func anIssuerSaysWhereItsKeysAre() async throws {
        try await with { provider, server in
            let issuer = "http://127.0.0.1:\(server.port)/realm"
            let page = "/realm/.well-known/openid-configuration"
            provider.set("/keys", SignedTokens.jwks)
            func name(_ configuration: String?) throws -> String {
                provider.set(page, configuration)
                let verifier = try TokenVerifier(
                    .issuer(issuer), issuer: nil, audience: "flotilla", log: Self.log, now: 0)
                return ask(verifier, SignedTokens.es256, at: 0)
            }
            let keys = "http://127.0.0.1:\(server.port)/keys"
            let right = try name("{\"issuer\":\"\(issuer)\",\"jwks_uri\":\"\(keys)\"}")
            #expect(right == "jwt:shop")
            // Another one's page, a page that leads away, nothing, too much, no page at all.
            for wrong in [
                "{\"issuer\":\"https://id.example\",\"jwks_uri\":\"\(keys)\"}",
                "{\"issuer\":\"\(issuer)\",\"jwks_uri\":\"http://keys.example/\"}",
                "{\"issuer\":\"\(issuer)\",\"jwks_uri\":\"file:///etc/passwd\"}",
                "http://127.0.0.1:\(server.port)/keys", "{}", String(repeating: " ", count: 2 << 20), nil,
            ] {
                let found = try name(wrong)
                #expect(found == "later", "\(wrong?.prefix(100) ?? "nothing")")
            }
        }
    }

    @Test func aProviderThatIsAwayAtTheStartIsAskedAgain() async throws {
        try await with { provider, server in
            let verifier = try TokenVerifier(
                .url("http://localhost:\(server.port)/keys"), issuer: nil, audience: "flotilla", log: Self.log, now: 0)
            #expect(ask(verifier, SignedTokens.rs256, at: 1) == "later")
            provider.set("/keys", SignedTokens.jwks)
            try await eventually { ask(verifier, SignedTokens.rs256, at: 40_000) == "jwt:shop" }
        }
    }

    @Test func onlyWhatNobodyCanReadOnTheWayIsAsked() {
        for url in [
            "https://id.example", "https://id.example:8443/a?b", "http://127.0.0.1/keys", "http://localhost:80",
            "http://[::1]:8080/keys",
        ] {
            #expect(TokenSource.isSafe(url), "\(url)")
        }
        for url in [
            "", "http://id.example/keys", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/",
            "http://localhost@evil.example", "ftp://127.0.0.1/", "file:///keys", "https://", "https:///keys",
            "https://a b", "http://127.0.0.1\\@evil.example/", "https://é.example", "//127.0.0.1/",
            "http://[::1].evil.example/",
        ] {
            #expect(!TokenSource.isSafe(url), "\(url)")
        }
    }

    @Test func wrongSettingsAreToldAllTogether() {
        func faults(_ settings: [String: String]) -> [String] {
            var all = ["KAFKA_BROKERS": "127.0.0.1:1"]
            all.merge(settings) { _, new in new }
            do throws(SettingFaults) {
                _ = try EdgeSettings(Settings(all))
                return []
            } catch { return error.faults.map(\.name) }
        }
        #expect(
            faults(["FLOTILLA_JWKS": "http://id.example/", "FLOTILLA_CORS": "x"]) == [
                "FLOTILLA_CORS", "FLOTILLA_JWKS", "FLOTILLA_AUDIENCE", "FLOTILLA_ISSUER",
            ])
        // Whoever signs with the same keys for others is another issuer.
        #expect(faults(["FLOTILLA_JWKS": "k", "FLOTILLA_AUDIENCE": "a"]) == ["FLOTILLA_ISSUER"])
        #expect(faults(["FLOTILLA_ISSUER": "id.example", "FLOTILLA_AUDIENCE": "a"]) == ["FLOTILLA_ISSUER"])
        #expect(faults(["FLOTILLA_ISSUER": "https://id.example", "FLOTILLA_AUDIENCE": "a"]).isEmpty)
        // With a file of keys the issuer is a name to compare, whatever it is.
        #expect(faults(["FLOTILLA_JWKS": "k", "FLOTILLA_ISSUER": "id", "FLOTILLA_AUDIENCE": "a"]).isEmpty)
        #expect(faults(["FLOTILLA_NAMESPACE": "Ä"]) == ["FLOTILLA_NAMESPACE"])
    }
}
