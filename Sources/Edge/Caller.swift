internal import HTTP
internal import Platform
internal import WebAPI

/// Who sends events, and what they may.
package struct Caller: Hashable, Sendable {
    /// How somebody shows who they are. Names of one realm say nothing in another: who owns a key, whom a provider of
    /// identities knows and whom a certificate names may be three of the same name.
    package enum Realm: String, Hashable, Sendable {
        case key = ""
        case token = "jwt:"
        case certificate = "cert:"

        static let named: [Realm] = [.token, .certificate]
    }

    /// Part of `ce_source`, so that nobody can claim another's ids. Begins with the realm, which has a colon, as no name has.
    package let name: String
    let realm: Realm
    /// Topics that they may publish to; nil is all that are open.
    package let topics: Set<String>?
    /// `ce_source` of events that name none: nobody can speak in another's name, nor claim its ids.
    let source: String

    package init(_ name: String, in realm: Realm = .key, topics: Set<String>? = nil) {
        self.init(full: realm.rawValue + name, realm, topics)
    }

    private init(full name: String, _ realm: Realm, _ topics: Set<String>?) {
        self.name = name
        self.realm = realm
        self.topics = topics
        source = "/flotilla/\(name)"
    }

    /// The same, with these topics only.
    func limited(to topics: Set<String>) -> Caller { Caller(full: name, realm, topics) }
}

/// How callers show who they are.
package struct Access: Sendable {
    /// Who everybody is, where nobody is asked; nil asks.
    package var open: Caller? = Caller("anonymous")
    package var keys: KeyRing?
    package var tokens: TokenVerifier?
    /// Whether a client certificate's common name is its owner's name here. The TLS library has checked who signed it.
    package var takesCertificates = false
    /// What tokens and certificates are good for; nil is all topics that are open.
    package var grants: Grants?

    package init() {}

    /// Whether there is anything that `Authorization: Bearer` may bring.
    var asksBearers: Bool { keys != nil || tokens != nil }

    func caller(of request: HTTPRequest, now: Int64) throws(Edge.Refused) -> Caller {
        // What nearly all send, with no text made of it.
        if let keys, request.count("authorization") == 1 {
            let caller = request.withHeader("authorization") { text -> Caller? in
                guard KeyRing.hasPrefix(text, "Bearer flk_") else { return nil }
                return keys.caller(of: text.extracting(7..<text.count), now: now)
            }
            if let caller, let caller { return caller }
        }
        if let text = request.header("authorization") {
            guard request.count("authorization") == 1 else { throw refusal("authorization is there more than once") }
            guard let end = text.utf8.firstIndex(of: 32), text[..<end].lowercased() == "bearer" else {
                throw refusal("authorization is to be: Bearer KEY")
            }
            let word = text[end...].trimmed
            if let keys, let caller = keys.caller(of: word, now: now) { return caller }
            if let tokens, !word.hasPrefix("flk_") {
                do throws(TokenRefusal) {
                    return granted(try tokens.caller(of: word, now: now, wall: Time.wallMilliseconds), now)
                } catch {
                    guard let seconds = error.retryAfter else { throw refusal(error.detail) }
                    throw Edge.Refused(Problem(503, error.detail, retryAfter: seconds))
                }
            }
            // Where nobody is asked, what somebody says is not checked either.
            if let open { return open }
            throw refusal("the key is not known here, or was revoked")
        }
        if takesCertificates, let name = request.peer {
            guard Credentials.isName(name) else {
                throw refusal("the certificate's common name is no name here: letters, digits, dashes, dots")
            }
            return granted(Caller(name, in: .certificate), now)
        }
        if let open { return open }
        throw refusal("who are you? Send the header Authorization: Bearer KEY; `flotilla keys create` makes one")
    }

    private func granted(_ caller: Caller, _ now: Int64) -> Caller { grants?.granted(caller, now: now) ?? caller }

    private func refusal(_ detail: String) -> Edge.Refused {
        var problem = Problem(401, detail)
        problem.headers = [HTTPRequest.Field("WWW-Authenticate", "Bearer realm=\"flotilla\"")]
        return Edge.Refused(problem)
    }
}
