internal import JOSE
internal import JSON
package import Platform
internal import Synchronization
internal import WebAPI

/// Tokens (JWT) that an identity provider has signed: RS256 and ES256.
///
/// A token says itself how it is signed, and nothing of that is believed: the algorithm must be one of the two, and the
/// key of that id must be of the very kind that the algorithm takes.
package final class TokenVerifier: Sendable {
    /// What is wrong with the keys.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String

        init(_ description: String) { self.description = description }
    }

    private let keys: TokenKeys
    private let issuer: String?
    private let audience: String
    private let state: Mutex<State>

    /// Whom a token names, and from when to when, in seconds of the day's time.
    private struct Claims {
        let caller: Caller
        let start: Double?
        let end: Double
        /// Of the keys that it was verified with.
        let generation: Int
    }

    private struct State {
        /// By digests, so that no token lies about.
        var verified: [String: Claims] = [:]
        /// What is left of a second's signatures, and since when.
        var signatures = TokenVerifier.signatureLimit
        var second: Int64
    }

    /// Clocks differ by so many seconds.
    private static let leeway = 60.0
    private static let tokenLimit = 8 << 10
    /// So many tokens are remembered.
    private static let memoryLimit = 10_000
    /// So many tokens a second are verified that were not seen before: what is wrong with a token shows late, when
    /// nobody knows yet whose bucket it is to be taken from.
    private static let signatureLimit = 500

    package init(_ source: TokenSource, issuer: String?, audience: String, log: Log, now: Int64) throws(Fault) {
        keys = try TokenKeys(source, log: log, now: now)
        self.issuer = issuer
        self.audience = audience
        state = Mutex(State(second: now))
    }

    /// Whom a token names; throws why it is not believed. `now` is the monotonic clock's, `wall` the time of day.
    func caller(of token: String, now: Int64, wall: Int64) throws(TokenRefusal) -> Caller {
        guard token.utf8.count <= Self.tokenLimit else { throw TokenRefusal("the token is no JWT") }
        let bytes = Array(token.utf8)
        let digest = unsafe Digest.sha256(bytes.span.bytes).hex()
        if let known = state.withLock({ $0.verified[digest] }), known.generation == keys.generation(now: now) {
            return try Self.check(known, at: Double(wall) / 1000)
        }
        let claims = try verified(token, bytes, now)
        state.withLock { state in
            if state.verified.count >= Self.memoryLimit { state.verified.removeAll() }
            state.verified[digest] = claims
        }
        return try Self.check(claims, at: Double(wall) / 1000)
    }

    private func verified(_ token: String, _ bytes: [UInt8], _ now: Int64) throws(TokenRefusal) -> Claims {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decodeURL(parts[0]),
            let header = try? JSONDocument(parsing: head).root, header.firstDuplicateKey() == nil
        else { throw TokenRefusal("the token is no JWT") }
        guard let algorithm = header["alg"]?.string, algorithm == "RS256" || algorithm == "ES256" else {
            throw TokenRefusal("the token's algorithm is not RS256 or ES256")
        }
        guard header["crit"] == nil else { throw TokenRefusal("the token needs extensions that are not known here") }
        let id = header["kid"]?.string
        switch keys.find(id, algorithm, now: now) {
        case .keys(let keys, let generation):
            // Otherwise a token would cost as many signatures as there are keys.
            guard keys.count == 1 || id != nil else { throw TokenRefusal("the token does not say which key: kid") }
            guard mayVerify(now) else {
                throw TokenRefusal("too many tokens come that were not seen before", retryAfter: 1)
            }
            guard let payload = keys.prefix(2).lazy.compactMap({ $0.key.verified(bytes) }).first else {
                throw TokenRefusal("the token's signature does not hold")
            }
            guard let claims = try? JSONDocument(parsing: payload).root, claims.firstDuplicateKey() == nil else {
                throw TokenRefusal("the token's claims are no JSON object")
            }
            return try read(claims, generation)
        case .none: throw TokenRefusal("no key of the token's id and algorithm is known here")
        case .later(let seconds):
            throw TokenRefusal("the identity provider is to be asked for the token's key", retryAfter: seconds)
        }
    }

    private func mayVerify(_ now: Int64) -> Bool {
        state.withLock { state in
            if now - state.second >= 1000 { (state.second, state.signatures) = (now, Self.signatureLimit) }
            guard state.signatures > 0 else { return false }
            state.signatures -= 1
            return true
        }
    }

    /// What does not depend on the time.
    private func read(_ claims: JSONValue, _ generation: Int) throws(TokenRefusal) -> Claims {
        guard let end = claims["exp"]?.double else { throw TokenRefusal("the token has no end: exp") }
        let start = claims["nbf"]?.double
        guard start != nil || claims["nbf"] == nil else { throw TokenRefusal("the token does not hold yet: nbf") }
        if let issuer, claims["iss"]?.string != issuer { throw TokenRefusal("the token is another issuer's") }
        let audiences = claims["aud"].map { $0.kind == .array ? $0.elements.compactMap(\.string) : [$0.string ?? ""] }
        guard audiences?.contains(audience) ?? false else { throw TokenRefusal("the token is for another audience") }
        guard let name = claims["sub"]?.string.flatMap({ Credentials.name(for: $0) }) else {
            throw TokenRefusal(
                "the token's sub is no name here: at most 64 letters, digits, -, _ and .; other bytes count thrice"
            )
        }
        return Claims(caller: Caller(name, in: .token), start: start, end: end, generation: generation)
    }

    private static func check(_ claims: Claims, at now: Double) throws(TokenRefusal) -> Caller {
        guard now < claims.end + leeway else { throw TokenRefusal("the token has expired") }
        guard now > (claims.start ?? -.infinity) - leeway else {
            throw TokenRefusal("the token does not hold yet: nbf")
        }
        return claims.caller
    }
}

/// Why a token is not believed.
struct TokenRefusal: Error {
    let detail: String
    /// Whether it may be believed after so many seconds.
    let retryAfter: Int?

    init(_ detail: String, retryAfter: Int? = nil) {
        self.detail = detail
        self.retryAfter = retryAfter
    }
}

extension Base64 {
    /// The alphabet with - and _, without padding. Nil when it is none.
    static func decodeURL(_ text: Substring) -> [UInt8]? {
        guard !text.utf8.contains(where: { $0 == 0x2b || $0 == 0x2f || $0 == 0x3d }) else { return nil }
        var plain = text.utf8.map { $0 == UInt8(ascii: "-") ? 0x2b : $0 == UInt8(ascii: "_") ? 0x2f : $0 }
        while plain.count % 4 != 0 { plain.append(UInt8(ascii: "=")) }
        return decode(plain.span)
    }
}
