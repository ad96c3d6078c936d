internal import JOSE
internal import JSON
internal import Platform
internal import Synchronization
internal import Transfers

/// The keys that tokens are verified with: of a file, of a URL, or of the provider that an issuer's page names.
///
/// A file is read again after two seconds. A provider is asked by a thread of its own, so that nobody waits: every ten
/// minutes, and when a token names a key that is not known, though not twice in half a minute, whatever tokens come. While
/// file or provider are away the keys of before hold.
final class TokenKeys: Sendable {
    struct Key: Sendable {
        let id: String?
        let algorithm: String
        let key: SignatureKey
    }

    private struct State {
        var keys: [Key]
        /// When they were looked for last, and since when a look has been under way.
        var looked: Int64
        var isLooking = false
        var hasComplained = false
    }

    private let source: TokenSource
    private let log: Log
    private let state: Mutex<State>

    private static let filePatience: Int64 = 2000
    private static let providerPatience: Int64 = 600_000
    /// Nobody has a provider asked more often than this.
    private static let minimumInterval: Int64 = 30_000
    private static let sizeLimit = 1 << 20
    private static let keyLimit = 100
    /// For one of the at most two questions to a provider.
    private static let answerTime = Duration.seconds(3)

    /// Looks for the keys once, which may take some seconds. A file must have some; a provider may be away.
    init(_ source: TokenSource, log: Log, now: Int64) throws(TokenVerifier.Fault) {
        self.source = source
        self.log = log
        do throws(TokenVerifier.Fault) {
            state = Mutex(State(keys: try Self.read(source), looked: now))
        } catch {
            if case .file = source { throw error }
            log.warning("the identity provider cannot be asked: no token holds until it answers", [("error", error)])
            state = Mutex(State(keys: [], looked: now, hasComplained: true))
        }
    }

    /// What is known of an id and an algorithm.
    enum Found: Sendable {
        case keys([Key])
        case none
        /// There is none, and the provider is being asked.
        case asking
    }

    func find(_ id: String?, _ algorithm: String, now: Int64) -> Found {
        let (keys, isDue, isLooking) = state.withLock { state -> ([Key], Bool, Bool) in
            let keys = state.keys.filter { $0.algorithm == algorithm && (id == nil || $0.id == id) }
            let patience: Int64 =
                if case .file = source { Self.filePatience } else if keys.isEmpty { Self.minimumInterval } else {
                    Self.providerPatience
                }
            let isDue = !state.isLooking && now - state.looked > patience
            if isDue {
                state.isLooking = true
                state.looked = now
            }
            return (keys, isDue, state.isLooking)
        }
        if isDue, case .file = source {
            look()
            // The file has been read: this is what there is.
            return known(id, algorithm)
        }
        if isDue {
            do throws(SystemError) { _ = try OSThread(name: "token-keys") { self.look() } } catch { look() }
        }
        if !keys.isEmpty { return .keys(keys) }
        return isLooking ? .asking : .none
    }

    private func known(_ id: String?, _ algorithm: String) -> Found {
        let keys = state.withLock { $0.keys }.filter { $0.algorithm == algorithm && (id == nil || $0.id == id) }
        return keys.isEmpty ? .none : .keys(keys)
    }

    private func look() {
        do throws(TokenVerifier.Fault) {
            let keys = try Self.read(source)
            state.withLock { state in
                state.keys = keys
                state.isLooking = false
                state.hasComplained = false
            }
        } catch {
            let isNews = state.withLock { state in
                state.isLooking = false
                defer { state.hasComplained = true }
                return !state.hasComplained
            }
            if isNews { log.warning("the keys of tokens cannot be read: those of before hold", [("error", error)]) }
        }
    }

    // MARK: Where they come from

    private static func read(_ source: TokenSource) throws(TokenVerifier.Fault) -> [Key] {
        switch source {
        case .file(let path):
            let bytes: [UInt8]?
            do throws(SystemError) { bytes = try Files.read(path, limit: sizeLimit) } catch {
                throw TokenVerifier.Fault("\(error)")
            }
            return try keys(bytes ?? [], of: path)
        case .url(let url): return try keys(ask(url), of: url)
        case .issuer(let issuer):
            let page =
                (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + "/.well-known/openid-configuration"
            guard let document = try? JSONDocument(parsing: try ask(page)), let url = document.root["jwks_uri"]?.string
            else { throw TokenVerifier.Fault("\(page) has no jwks_uri") }
            // Else one provider could speak for another.
            guard document.root["issuer"]?.string == issuer else {
                throw TokenVerifier.Fault("\(page) is of another issuer: \(document.root["issuer"]?.string ?? "none")")
            }
            guard TokenSource.isSafe(url) else {
                throw TokenVerifier.Fault("\(page) names a jwks_uri that is not https: \(url.prefix(200))")
            }
            return try keys(ask(url), of: url)
        }
    }

    private static func ask(_ url: String) throws(TokenVerifier.Fault) -> [UInt8] {
        do throws(WebClient.Fault) {
            let answer = try WebClient().get(url, limit: sizeLimit, within: answerTime)
            guard answer.status == 200 else { throw WebClient.Fault(description: "answers \(answer.status)") }
            return answer.body
        } catch { throw TokenVerifier.Fault("\(url): \(error)") }
    }

    private static func keys(_ bytes: [UInt8], of place: String) throws(TokenVerifier.Fault) -> [Key] {
        guard let document = try? JSONDocument(parsing: bytes), let list = document.root["keys"] else {
            throw TokenVerifier.Fault("\(place) is no JWKS: an object with \"keys\"")
        }
        let keys = list.elements.prefix(keyLimit).compactMap { value -> Key? in
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
        guard !keys.isEmpty else { throw TokenVerifier.Fault("\(place) has no RSA key and no P-256 key") }
        return keys
    }
}

/// Where the keys of tokens are.
package enum TokenSource: Hashable, Sendable {
    case file(String)
    case url(String)
    /// OpenID Connect discovery.
    case issuer(String)

    /// Whether nobody on the way can put in keys of their own: https, or this very machine.
    package static func isSafe(_ url: String) -> Bool {
        guard url.utf8.count <= 2048, url.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != 0x5c }) else {
            return false
        }
        let parts = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        // Behind a user's name the host would be another one than it seems.
        guard parts.count >= 3, parts[1].isEmpty, !parts[2].isEmpty, !parts[2].contains("@") else { return false }
        if parts[0] == "https:" { return true }
        guard parts[0] == "http:" else { return false }
        let end = parts[2].firstIndex { $0 == "?" || $0 == "#" } ?? parts[2].endIndex
        let place = parts[2][..<end]
        if place.hasPrefix("[") { return place == "[::1]" || place.hasPrefix("[::1]:") }
        return EdgeConfiguration.isLoopback(String(place.prefix { $0 != ":" }))
    }
}
