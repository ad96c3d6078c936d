import HTTP
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
        #expect(name(SignedTokens.rs256, verifier) == "shop")
        #expect(name(SignedTokens.es256, verifier) == "shop")
    }

    @Test(arguments: [
        SignedTokens.none, SignedTokens.confused, SignedTokens.keyOfAnother, SignedTokens.unknownKey,
        SignedTokens.badName, SignedTokens.endless, SignedTokens.critical, "", ".", "..", "a.b.c", "e30.e30.", "é.é.é",
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
        #expect(name(token, verifier, at: 2_000_000_059) == "shop")
        #expect(name(token, verifier, at: 2_000_000_060) == nil)
        #expect(name(token, verifier, at: 999_999_941) == "shop")
        #expect(name(token, verifier, at: 999_999_940) == nil)
        #expect(name(token, try self.verifier(folder, audience: "flot")) == nil)
        #expect(name(token, try self.verifier(folder, issuer: "https://id.example/")) == nil)
        #expect(name(token, try self.verifier(folder, issuer: nil, audience: "other")) == "shop")
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
