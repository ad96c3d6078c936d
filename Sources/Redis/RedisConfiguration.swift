/// Where a Redis is and how to get in. Never prints its password.
public struct RedisConfiguration: Sendable, CustomStringConvertible {
    public enum Place: Hashable, Sendable {
        case tcp(host: String, port: UInt16)
        case unix(path: String)
    }

    public var place: Place
    public var user: String?
    public var password: String?
    public var database = 0
    /// Nil is no TLS.
    public var tls: TLS?
    /// How long a connection may take to come about.
    public var connectTimeout: Duration = .seconds(2)
    /// How long an answer may take.
    public var answerTimeout: Duration = .seconds(2)
    /// More bytes than this, waiting to be sent, are refused.
    public var maxQueuedBytes = 64 << 20

    public struct TLS: Hashable, Sendable {
        /// Files in PEM: whom to believe (the system's list by default), and who we are.
        public var authorities: String?
        public var certificate: String?
        public var key: String?

        public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
        }
    }

    public init(_ place: Place) { self.place = place }

    /// `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://` for TLS with `?ca=FILE&cert=FILE&key=FILE`, or
    /// `unix:///PATH[?db=N]`. Throws what is wrong with it, without the password.
    public init(url: String) throws(RedisFault) {
        guard let colon = url.range(of: "://") else { throw Self.refusal("has no redis://, rediss:// or unix://") }
        let scheme = url[..<colon.lowerBound]
        var rest = url[colon.upperBound...]
        var options: [String: String] = [:]
        if let mark = rest.firstIndex(of: "?") {
            for pair in rest[rest.index(after: mark)...].split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1)
                guard parts.count == 2 else { throw Self.refusal("has an option without a value") }
                options[String(parts[0])] = try Self.decoded(parts[1])
            }
            rest = rest[..<mark]
        }
        var credentials: Substring?
        if let at = rest.lastIndex(of: "@") {
            credentials = rest[..<at]
            rest = rest[rest.index(after: at)...]
        }
        var database = options.removeValue(forKey: "db")
        switch scheme {
        case "unix":
            guard rest.hasPrefix("/") else { throw Self.refusal("unix:// needs an absolute path") }
            place = .unix(path: try Self.decoded(rest))
        case "redis", "rediss":
            if let slash = rest.firstIndex(of: "/") {
                let name = rest[rest.index(after: slash)...]
                if !name.isEmpty { database = String(name) }
                rest = rest[..<slash]
            }
            place = try Self.place(rest)
            if scheme == "rediss" {
                tls = TLS(
                    authorities: options.removeValue(forKey: "ca"), certificate: options.removeValue(forKey: "cert"),
                    key: options.removeValue(forKey: "key"))
            }
        case _: throw Self.refusal("has a scheme that is none of redis, rediss and unix")
        }
        if let credentials {
            let parts = credentials.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try Self.decoded(parts[0])
            if parts.count == 2 {
                user = name.isEmpty ? nil : name
                password = try Self.decoded(parts[1])
            } else {
                password = name
            }
        }
        if let database {
            guard let number = Int(database), (0...65_535).contains(number) else {
                throw Self.refusal("names a database that is no number")
            }
            self.database = number
        }
        if let unknown = options.keys.min() { throw Self.refusal("has the unknown option \(unknown)") }
    }

    private static func place(_ text: Substring) throws(RedisFault) -> Place {
        var host = text
        var port: UInt16 = 6379
        // An IPv6 address stands in brackets, because it has colons of its own.
        let end = text.hasPrefix("[") ? text.firstIndex(of: "]") : nil
        if let colon = text[(end ?? text.startIndex)...].lastIndex(of: ":") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
                throw refusal("has a port that is no number")
            }
            port = number
            host = text[..<colon]
        }
        if end != nil { host = host.dropFirst().prefix { $0 != "]" } }
        guard !host.isEmpty else { throw refusal("names no host") }
        return .tcp(host: String(host), port: port)
    }

    /// What stands behind percent signs.
    private static func decoded(_ text: Substring) throws(RedisFault) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                throw refusal("has a percent sign without two hexadecimal digits")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw refusal("is not UTF-8") }
        return text
    }

    private static func refusal(_ what: String) -> RedisFault { RedisFault(.refused, "the URL \(what)") }

    public var description: String {
        switch place {
        case .tcp(let host, let port): "\(tls == nil ? "redis" : "rediss")://\(host):\(port)/\(database)"
        case .unix(let path): "unix://\(path)?db=\(database)"
        }
    }
}

extension String {
    /// The first place of a text within this one; Foundation's is not here.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<(index(start, offsetBy: text.count, limitedBy: endIndex) ?? endIndex)
            }
            start = index(after: start)
        }
        return nil
    }
}
