internal import JOSE
internal import JSON
internal import Platform
internal import Synchronization
internal import Transfers
internal import WebAPI

/// The keys that tokens are verified with: of a file, of a URL, or of the provider that an issuer's page names.
///
/// A file is read again after two seconds. A provider is asked by a thread of its own, so that nobody waits: every ten
/// minutes, and when a token names a key that is not known, though not twice in half a minute, whatever tokens come. What
/// it says counts, also that there are no keys any more. While it is away the keys of before hold, for a day; and so does
/// what a file said that can no longer be read, but a file that is gone takes its keys with it.
final class TokenKeys: Sendable {
    struct Key: Sendable {
        let id: String?
        let algorithm: String
        let key: SignatureKey
        /// As it was read.
        let source: [UInt8]
    }

    private struct State {
        var keys: [Key]
        /// How often the keys have been read: what was verified with those of before is to be verified again.
        var generation = 0
        /// When they were read last, when they were looked for last, and whether that is under way.
        var known: Int64?
        var looked: Int64
        var isLooking = false
        var hasFailed = false
        /// Ids that were asked for and not found, and when first.
        var strangers: [String: Int64] = [:]
    }

    private let source: TokenSource
    private let log: Log
    private let state: Mutex<State>

    private static let filePatience: Int64 = 2000
    private static let providerPatience: Int64 = 600_000
    /// Nobody has a provider asked more often than this.
    private static let minimumInterval: Int64 = 30_000
    /// So long keys hold that nobody confirms.
    private static let lifetime: Int64 = 86_400_000
    private static let sizeLimit = 1 << 20
    private static let keyLimit = 100
    private static let strangerLimit = 1000
    /// For one of the at most two questions to a provider.
    private static let answerTime = Duration.seconds(3)

    /// Looks for the keys once, which may take some seconds. A file must have some; a provider may be away.
    init(_ source: TokenSource, log: Log, now: Int64) throws(TokenVerifier.Fault) {
        self.source = source
        self.log = log
        do throws(TokenVerifier.Fault) {
            let keys = try Self.read(source)
            if case .file(let path) = source, keys.isEmpty {
                throw TokenVerifier.Fault("\(path) is not there, or has no RSA key and no P-256 key")
            }
            state = Mutex(State(keys: keys, known: now, looked: now))
        } catch {
            if case .file = source { throw error }
            log.warning("the identity provider cannot be asked: no token holds until it answers", [("error", error)])
            state = Mutex(State(keys: [], looked: now, hasFailed: true))
        }
    }

    /// What is known of an id and an algorithm.
    enum Found: Sendable {
        case keys([Key], generation: Int)
        case none
        /// It cannot be told now, and perhaps after so many seconds.
        case later(seconds: Int)
    }

    /// How often the keys have been read, if what was verified with them holds now; nil when that is to be found out.
    func generation(now: Int64) -> Int? {
        refresh(now: now, isWanted: false)
        return state.withLock { isCertain($0, now) ? $0.generation : nil }
    }

    func find(_ id: String?, _ algorithm: String, now: Int64) -> Found {
        refresh(now: now, isWanted: state.withLock { matching($0, id, algorithm).isEmpty })
        return state.withLock { state in
            let keys = matching(state, id, algorithm)
            if case .file = source { return keys.isEmpty ? .none : .keys(keys, generation: state.generation) }
            guard isCertain(state, now) else { return .later(seconds: 1) }
            if !keys.isEmpty { return .keys(keys, generation: state.generation) }
            if state.isLooking { return .later(seconds: 1) }
            // Perhaps the key is new. Whoever comes back after the next look gets a definite answer.
            let id = id ?? ""
            if state.strangers.count >= Self.strangerLimit { state.strangers.removeAll() }
            let since = state.strangers[id] ?? now
            state.strangers[id] = since
            if !state.hasFailed, since < state.looked { return .none }
            return .later(seconds: Int(max(1, (state.looked + Self.minimumInterval - now) / 1000 + 1)))
        }
    }

    private func matching(_ state: State, _ id: String?, _ algorithm: String) -> [Key] {
        state.keys.filter { $0.algorithm == algorithm && (id == nil || $0.id == id) }
    }

    /// Whether what the keys say may be believed: they were read lately, or the provider was asked and is away.
    private func isCertain(_ state: State, _ now: Int64) -> Bool {
        guard case .file = source else {
            guard let known = state.known else { return state.hasFailed }
            if state.hasFailed { return now - known <= Self.lifetime }
            return now - known <= 2 * Self.providerPatience
        }
        return true
    }

    /// Has the keys looked for when that is due. `isWanted`: somebody asks for one that is not there.
    private func refresh(now: Int64, isWanted: Bool) {
        let isDue = state.withLock { state in
            let patience: Int64 =
                if case .file = source { Self.filePatience } else if isWanted || state.hasFailed {
                    Self.minimumInterval
                } else { Self.providerPatience }
            guard !state.isLooking, now - state.looked > patience else { return false }
            state.isLooking = true
            state.looked = now
            return true
        }
        guard isDue else { return }
        if case .file = source { return look(now) }
        do throws(SystemError) { _ = try OSThread(name: "token-keys") { self.look(now) } } catch { look(now) }
    }

    private func look(_ now: Int64) {
        do throws(TokenVerifier.Fault) {
            let keys = try Self.read(source)
            let isNews = state.withLock { state in
                let isNews = keys.isEmpty && !state.keys.isEmpty
                if !keys.elementsEqual(state.keys, by: { $0.source == $1.source }) {
                    state.keys = keys
                    state.generation += 1
                }
                state.known = now
                state.isLooking = false
                state.hasFailed = false
                return isNews
            }
            if isNews { log.warning("there are no keys of tokens any more: no token holds") }
        } catch {
            let isNews = state.withLock { state in
                state.isLooking = false
                defer { state.hasFailed = true }
                return !state.hasFailed
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
                if Files.isGone(path) { return [] }
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
        return list.elements.prefix(keyLimit).compactMap { value -> Key? in
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
            return SignatureKey(source).map {
                Key(id: value["kid"]?.string, algorithm: algorithm, key: $0, source: source)
            }
        }
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
        return Credentials.isLoopback(String(place.prefix { $0 != ":" }))
    }
}
