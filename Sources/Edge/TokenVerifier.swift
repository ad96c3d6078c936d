internal import JOSE
internal import JSON
package import Platform
internal import Synchronization

/// Tokens (JWT) that an identity provider has signed: RS256 and ES256, with the keys of a JWKS file.
///
/// A token says itself how it is signed, and nothing of that is believed: the algorithm must be one of the two, and the
/// key of that id must be of the very kind that the algorithm takes. The file is read again after two seconds, so that
/// keys may rotate; while it cannot be read those of before hold.
package final class TokenVerifier: Sendable {
    /// What is wrong with a file of keys.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    private struct Key: Sendable {
        let id: String?
        let algorithm: String
        let key: SignatureKey
    }

    private struct State {
        var keys: [Key]
        var looked: Int64
    }

    private let path: String
    private let issuer: String?
    private let audience: String
    private let log: Log
    private let state: Mutex<State>

    private static let patience: Int64 = 2000
    /// Clocks differ by so many seconds.
    private static let leeway = 60.0
    private static let tokenLimit = 8 << 10

    package init(path: String, issuer: String?, audience: String, log: Log, now: Int64) throws(Fault) {
        self.path = path
        self.issuer = issuer
        self.audience = audience
        self.log = log
        state = Mutex(State(keys: try Self.read(path), looked: now))
    }

    private static func read(_ path: String) throws(Fault) -> [Key] {
        let bytes: [UInt8]?
        do throws(SystemError) { bytes = try Files.read(path, limit: 1 << 20) } catch {
            throw Fault(description: "\(error)")
        }
        guard let bytes, let document = try? JSONDocument(parsing: bytes), let list = document.root["keys"] else {
            throw Fault(description: "\(path) is no JWKS: an object with \"keys\"")
        }
        let keys = list.elements.compactMap { value -> Key? in
            // Keys of other kinds, or for other uses, may stand beside.
            let algorithm: String
            switch (value["kty"]?.string, value["crv"]?.string) {
            case ("RSA", _): algorithm = "RS256"
            case ("EC", "P-256"): algorithm = "ES256"
            case _: return nil
            }
            guard value["use"]?.string ?? "sig" == "sig", value["alg"]?.string ?? algorithm == algorithm else {
                return nil
            }
            let source = value.withSource { source in unsafe source.withUnsafeBytes { unsafe Array($0) } }
            return SignatureKey(source).map { Key(id: value["kid"]?.string, algorithm: algorithm, key: $0) }
        }
        guard !keys.isEmpty else { throw Fault(description: "\(path) has no RSA key and no P-256 key") }
        return keys
    }

    /// Whom a token names; throws why it is not believed. `now` is the monotonic clock's, `wall` the time of day.
    func caller(of token: String, now: Int64, wall: Int64) throws(TokenRefusal) -> Caller {
        look(now)
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, token.utf8.count <= Self.tokenLimit, let head = Base64.decodeURL(parts[0]),
            let header = try? JSONDocument(parsing: head).root, header.firstDuplicateKey() == nil
        else { throw TokenRefusal("the token is no JWT") }
        guard let algorithm = header["alg"]?.string, algorithm == "RS256" || algorithm == "ES256" else {
            throw TokenRefusal("the token's algorithm is not RS256 or ES256")
        }
        guard header["crit"] == nil else { throw TokenRefusal("the token needs extensions that are not known here") }
        let id = header["kid"]?.string
        let keys = state.withLock { $0.keys }.filter { $0.algorithm == algorithm && (id == nil || $0.id == id) }
        guard !keys.isEmpty else { throw TokenRefusal("no key of the token's id and algorithm is known here") }
        let bytes = Array(token.utf8)
        guard let payload = keys.lazy.compactMap({ $0.key.verified(bytes) }).first else {
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

    private func look(_ now: Int64) {
        let isDue = state.withLock { state in
            guard now - state.looked > Self.patience else { return false }
            state.looked = now
            return true
        }
        guard isDue else { return }
        do throws(Fault) {
            let keys = try Self.read(path)
            state.withLock { $0.keys = keys }
        } catch { log.warning("the JWKS file cannot be read: the keys of before hold", [("error", error)]) }
    }
}

/// Why a token is not believed.
struct TokenRefusal: Error {
    let detail: String

    init(_ detail: String) { self.detail = detail }
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
