import HTTP
import JSON
import Platform
import TestSupport
import Testing

@testable import Edge

@Suite(.inTurns) struct TokenTests {
    private func verifier(
        _ folder: TemporaryFolder, issuer: String? = "https://id.example", audience: String = "flotilla"
    ) throws -> TokenVerifier {
        let path = folder.path + "/jwks.json"
        if !Files.exists(path) { try Files.create(path, SignedTokens.jwks) }
        return try TokenVerifier(
            .file(path), issuer: issuer, audience: audience, log: Log(level: .error, format: .text), now: 0)
    }

    private func name(_ token: String, _ verifier: TokenVerifier, at seconds: Int64 = 1_500_000_000) -> String? {
        do throws(TokenRefusal) {
            return try verifier.caller(of: token, now: 0, wall: seconds * 1000).name
        } catch { return nil }
    }

    @Test func aTokenThatHoldsNamesItsCaller() throws {
        let folder = TemporaryFolder()
        let verifier = try verifier(folder)
        #expect(name(SignedTokens.rs256, verifier) == "jwt:shop")
        #expect(name(SignedTokens.es256, verifier) == "jwt:shop")
        // Providers call people as they like.
        #expect(name(SignedTokens.oddName, verifier) == "jwt:a%2Fb%20c")
    }

    @Test(arguments: [
        SignedTokens.none, SignedTokens.confused, SignedTokens.keyOfAnother, SignedTokens.unknownKey,
        SignedTokens.endless, SignedTokens.critical, "", ".", "..", "a.b.c", "e30.e30.", "é.é.é",
        SignedTokens.rs256 + "A", String(SignedTokens.rs256.dropLast(4)), SignedTokens.rs256 + ".",
        String(SignedTokens.rs256.prefix { $0 != "." }) + "..", String(repeating: "A", count: 100_000),
    ])
    func whatDoesNotHoldIsRefused(_ token: String) throws {
        let folder = TemporaryFolder()
        #expect(name(token, try verifier(folder)) == nil)
    }

    @Test func aTokenHoldsInItsTimeForItsAudienceFromItsIssuer() throws {
        let folder = TemporaryFolder()
        let token = SignedTokens.es256
        let verifier = try verifier(folder)
        #expect(name(token, verifier, at: 2_000_000_059) == "jwt:shop")
        #expect(name(token, verifier, at: 2_000_000_060) == nil)
        #expect(name(token, verifier, at: 999_999_941) == "jwt:shop")
        #expect(name(token, verifier, at: 999_999_940) == nil)
        #expect(name(token, try self.verifier(folder, audience: "flot")) == nil)
        #expect(name(token, try self.verifier(folder, issuer: "https://id.example/")) == nil)
        #expect(name(token, try self.verifier(folder, issuer: nil, audience: "other")) == "jwt:shop")
    }

    /// Whoever signs is not asked twice: what was verified is remembered, for as long as it holds.
    @Test func whatIsKnownCostsNoSignature() throws {
        let folder = TemporaryFolder()
        let verifier = try verifier(folder)
        for _ in 0..<2000 { #expect(name(SignedTokens.rs256, verifier) == "jwt:shop") }
        #expect(name(SignedTokens.rs256, verifier, at: 2_000_000_060) == nil)
        // What is not known costs one each, and there is an end to them.
        var refusals: Set<Int?> = []
        for number in 0..<1000 {
            do throws(TokenRefusal) {
                _ = try verifier.caller(of: forged(number), now: 1, wall: 1_500_000_000_000)
            } catch { refusals.insert(error.retryAfter) }
        }
        #expect(refusals == [nil, 1])
        #expect(name(SignedTokens.rs256, verifier) == "jwt:shop")
        // A second later there are others.
        do throws(TokenRefusal) {
            _ = try verifier.caller(of: forged(0), now: 1500, wall: 1_500_000_000_000)
        } catch { #expect(error.retryAfter == nil) }
    }

    /// With the right key's id and a signature that does not hold.
    private func forged(_ number: Int) -> String {
        let parts = SignedTokens.es256.split(separator: ".")
        let claims = String(parts[1]).replacing(
            "eyJ", with: "eyJ\(["A", "B", "C", "D"][number % 4])\(number)", maxReplacements: 1)
        return "\(parts[0]).\(claims).\(parts[2])"
    }

    /// A token that names no key is tried with one, not with all.
    @Test func withoutAKeyIDThereMustBeOneKey() throws {
        let folder = TemporaryFolder()
        let parts = SignedTokens.es256.split(separator: ".")
        // {"alg":"ES256"}
        let token = "eyJhbGciOiJFUzI1NiJ9.\(parts[1]).\(parts[2])"
        func refusal(_ keys: String) throws -> String {
            try folder.replace("jwks.json", keys)
            let verifier = try verifier(folder)
            do throws(TokenRefusal) {
                return try verifier.caller(of: token, now: 0, wall: 1_500_000_000_000).name
            } catch { return error.detail }
        }
        #expect(try refusal(SignedTokens.jwks).contains("signature"))
        let twice = try #require(try JSONDocument(parsing: Array(SignedTokens.jwks.utf8)).root["keys"])
        let all = twice.elements.map { key in
            key.withSource { source in unsafe source.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
        }
        let two = "{\"keys\":[\((all + all.map { $0.replacing("\"e1\"", with: "\"e2\"") }).joined(separator: ","))]}"
        #expect(try refusal(two).contains("kid"))
    }

    /// A token with any one character changed holds no more.
    @Test func noCharacterMayDiffer() throws {
        let folder = TemporaryFolder()
        let verifier = try verifier(folder)
        let token = Array(SignedTokens.es256.utf8)
        // The last one has bits that mean nothing.
        for index in token.indices.dropLast() {
            var changed = token
            changed[index] = token[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(name(String(decoding: changed, as: UTF8.self), verifier) == nil, "at \(index)")
        }
    }
}
