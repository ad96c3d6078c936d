internal import Contracts
package import HTTP
package import Kafka
package import Model
package import Platform
package import Redis
package import Tracing

/// What an edge is told by its environment.
package struct EdgeSettings: Sendable {
    package let client: ClientConfiguration
    package let topicsFolder: String
    package let namespace: Namespace
    package let origins: Set<String>
    package let tls: HTTPConfiguration.TLS?
    /// The file of API keys.
    package let keys: String?
    /// Where the keys are that tokens are signed with, who signs them, and for whom.
    package let tokens: (source: TokenSource, issuer: String, audience: String)?
    /// The file of what tokens and certificates are good for.
    package let grants: String?
    /// Where Idempotency-Keys are remembered, if anywhere.
    package let redis: RedisConfiguration?
    /// Where traces go, if anywhere.
    package let traces: Tracing.Plan?
    /// Requests a second of each caller, if it is set.
    package let rate: Int?

    /// Reads them, or throws all that is wrong.
    package init(_ settings: Settings) throws(SettingFaults) {
        var settings = settings
        let client = ClientConfiguration.from(&settings)
        (topicsFolder, namespace) = TopicCatalog.place(&settings)
        origins = Set(settings.list("FLOTILLA_CORS") ?? [])
        for origin in origins.sorted() where origin != "*" && !Self.isOrigin(origin) {
            settings.refuse("FLOTILLA_CORS", "has \(origin): expected * or https://HOST, without a path")
        }
        tls = Self.tls(&settings)
        redis = Self.redis(&settings)
        traces = Tracing.plan(&settings, service: "flotilla-edge")
        tokens = Self.tokens(&settings)
        // A path, so `FLOTILLA_KEYS_FILE` would be the path of a path.
        keys = settings.all["FLOTILLA_KEYS"]
        grants = settings.all["FLOTILLA_GRANTS"]
        rate = settings.integer("FLOTILLA_RATE", in: 1...1_000_000)
        try settings.check()
        // Without a client there was a fault.
        guard let client else {
            throw SettingFaults(faults: [SettingFault(name: "KAFKA_BROKERS", problem: "is not set")])
        }
        self.client = client
    }

    private static func isOrigin(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 3 && (parts[0] == "https:" || parts[0] == "http:") && parts[1].isEmpty
            && !parts[2].isEmpty
    }

    private static func tokens(
        _ settings: inout Settings
    ) -> (source: TokenSource, issuer: String, audience: String)? {
        let issuer = settings.text("FLOTILLA_ISSUER")
        // Where the keys are is a place, so `FLOTILLA_JWKS_FILE` would be the path of a path.
        let source: TokenSource
        if let place = settings.all["FLOTILLA_JWKS"] {
            source = place.contains("://") ? .url(place) : .file(place)
        } else if let issuer {
            source = .issuer(issuer)
        } else {
            return nil
        }
        switch source {
        case .url(let url) where !TokenSource.isSafe(url):
            settings.refuse("FLOTILLA_JWKS", "is neither a file nor an https URL (http is for this machine alone)")
        case .issuer(let issuer) where !TokenSource.isSafe(issuer):
            settings.refuse(
                "FLOTILLA_ISSUER", "is no https URL (http is for this machine alone), and FLOTILLA_JWKS is not set")
        case .file, .url, .issuer: break
        }
        // Else a token for any other service of the same issuer would be good here.
        let audience = settings.required("FLOTILLA_AUDIENCE", "whom tokens are for: their aud")
        // And else one for another tenant of the same keys.
        guard let signer = issuer ?? settings.required("FLOTILLA_ISSUER", "who signs tokens: their iss") else {
            return nil
        }
        return audience.map { (source, signer, $0) }
    }

    private static func redis(_ settings: inout Settings) -> RedisConfiguration? {
        guard let url = settings.text("REDIS_URL") else { return nil }
        do throws(RedisFault) {
            return try RedisConfiguration(url: url)
        } catch {
            settings.refuse("REDIS_URL", ": \(error.reason)")
            return nil
        }
    }

    /// Each setting is the path of a PEM file.
    private static func tls(_ settings: inout Settings) -> HTTPConfiguration.TLS? {
        let names = ["FLOTILLA_TLS_CERT", "FLOTILLA_TLS_KEY", "FLOTILLA_TLS_CLIENT_CA"]
        let texts = names.map { name -> String? in
            guard let path = settings.all[name] else { return nil }
            do throws(SystemError) {
                if let bytes = try Files.read(path, limit: 1 << 20),
                    let text = String(validating: bytes, as: UTF8.self),
                    text.contains("-----BEGIN ")
                {
                    return text
                }
                settings.refuse(name, "names \(path), which is no PEM file")
            } catch { settings.refuse(name, "names a file that cannot be read: \(error)") }
            return nil
        }
        if (settings.all[names[0]] == nil) != (settings.all[names[1]] == nil) {
            settings.refuse(names[0], "and \(names[1]) belong together: set both")
        }
        if settings.all[names[2]] != nil, settings.all[names[0]] == nil {
            settings.refuse(names[2], "needs TLS: set \(names[0]) and \(names[1]) too")
        }
        guard let certificate = texts[0], let key = texts[1] else { return nil }
        return HTTPConfiguration.TLS(certificate: certificate, key: key, clientAuthority: texts[2])
    }
}
