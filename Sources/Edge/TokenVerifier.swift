internal import JOSE
internal import JSON
package import Platform

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

    /// Clocks differ by so many seconds.
    private static let leeway = 60.0
    private static let tokenLimit = 8 << 10

    package init(_ source: TokenSource, issuer: String?, audience: String, log: Log, now: Int64) throws(Fault) {
        keys = try TokenKeys(source, log: log, now: now)
        self.issuer = issuer
        self.audience = audience
    }

    /// Whom a token names; throws why it is not believed. `now` is the monotonic clock's, `wall` the time of day.
    func caller(of token: String, now: Int64, wall: Int64) throws(TokenRefusal) -> Caller {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, token.utf8.count <= Self.tokenLimit, let head = Base64.decodeURL(parts[0]),
            let header = try? JSONDocument(parsing: head).root, header.firstDuplicateKey() == nil
        else { throw TokenRefusal("the token is no JWT") }
        guard let algorithm = header["alg"]?.string, algorithm == "RS256" || algorithm == "ES256" else {
            throw TokenRefusal("the token's algorithm is not RS256 or ES256")
        }
        guard header["crit"] == nil else { throw TokenRefusal("the token needs extensions that are not known here") }
        let found: [TokenKeys.Key]
        switch keys.find(header["kid"]?.string, algorithm, now: now) {
        case .keys(let keys): found = keys
        case .none: throw TokenRefusal("no key of the token's id and algorithm is known here")
        case .asking:
            throw TokenRefusal("the identity provider is being asked for the token's key", isTemporary: true)
        }
        let bytes = Array(token.utf8)
        guard let payload = found.lazy.compactMap({ $0.key.verified(bytes) }).first else {
            throw TokenRefusal("the token's signature does not hold")
        }
        guard let claims = try? JSONDocument(parsing: payload).root, claims.firstDuplicateKey() == nil else {
            throw TokenRefusal("the token's claims are no JSON object")
        }
        return try check(claims, at: Double(wall) / 1000)
    }

    private func check(_ claims: JSONValue, at now: Double) throws(TokenRefusal) -> Caller {
        guard let end = claims["exp"]?.double else { throw TokenRefusal("the token has no end: exp") }
        guard now < end + Self.leeway else { throw TokenRefusal("the token has expired") }
        if let start = claims["nbf"] {
            guard let start = start.double, now > start - Self.leeway else {
                throw TokenRefusal("the token does not hold yet: nbf")
            }
        }
        if let issuer, claims["iss"]?.string != issuer { throw TokenRefusal("the token is another issuer's") }
        let audiences = claims["aud"].map { $0.kind == .array ? $0.elements.compactMap(\.string) : [$0.string ?? ""] }
        guard audiences?.contains(audience) ?? false else { throw TokenRefusal("the token is for another audience") }
        guard let name = claims["sub"]?.string, Caller.isName(name) else {
            throw TokenRefusal("the token's sub is no name here: letters, digits, dashes, underscores, dots")
        }
        return Caller(name)
    }
}

/// Why a token is not believed.
struct TokenRefusal: Error {
    let detail: String
    /// Whether it may be believed in a moment.
    let isTemporary: Bool

    init(_ detail: String, isTemporary: Bool = false) {
        self.detail = detail
        self.isTemporary = isTemporary
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
