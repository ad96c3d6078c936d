internal import CCurl
internal import Glibc

/// Why a text is no address, in words that do not repeat it: it may hold what nobody is to see.
package struct AddressFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// An http or https URL. It prints its host alone: paths of hooks are as good as passwords.
package struct WebAddress: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    package let host: String

    package init(_ text: String) throws(AddressFault) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw AddressFault(
                "is no URL: expected https://HOST/PATH, 2048 characters of ASCII at most, without spaces")
        }
        let parts = try URLParts(text)
        guard parts.scheme == "https" || parts.scheme == "http" else {
            throw AddressFault("has to begin with https:// or http://")
        }
        guard parts.user == nil, parts.password == nil else {
            throw AddressFault("has a user or a password in it: receivers know us by the signature")
        }
        guard parts.fragment == nil else { throw AddressFault("has a #, which no server gets to see") }
        guard let host = parts.host, !host.isEmpty else { throw AddressFault("names no host") }
        self.text = text
        self.host = host
    }

    package var description: String { host }
}

/// A mail server: `smtp://USER:PASSWORD@HOST:587`, or `smtps://` where TLS begins with the connection.
///
/// `smtp://` asks for TLS (STARTTLS) and does without only with `?tls=no`, and then without a password.
package struct MailServer: Hashable, Sendable, CustomStringConvertible {
    /// Without user and password.
    let url: String
    let host: String
    let user: String?
    let password: String?
    let needsTLS: Bool

    package init(_ text: String) throws(AddressFault) {
        let shape =
            "expected smtp://USER:PASSWORD@HOST:587, or smtps://; what is special in its parts is percent-encoded"
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw AddressFault("is no URL: \(shape)")
        }
        let parts = try URLParts(text)
        guard parts.scheme == "smtp" || parts.scheme == "smtps" else {
            throw AddressFault("is no mail server: \(shape)")
        }
        guard let host = parts.host, !host.isEmpty else { throw AddressFault("names no host: \(shape)") }
        switch parts.query {
        case nil: needsTLS = true
        case "tls=no" where parts.scheme == "smtp":
            guard parts.user == nil, parts.password == nil else {
                throw AddressFault("says tls=no and has a password: it would go over the wire for all to see")
            }
            needsTLS = false
        case _: throw AddressFault("has a query other than ?tls=no, which smtp:// alone knows")
        }
        guard parts.path == nil || parts.path == "/", parts.fragment == nil else {
            throw AddressFault("has a path, which no mail server knows")
        }
        guard (parts.user == nil) == (parts.password == nil) else {
            throw AddressFault("has a user without a password, or the other way round")
        }
        for part in [parts.user, parts.password].compactMap({ $0 }) where part.utf8.contains(where: { $0 < 0x20 }) {
            throw AddressFault("has a control character in its user or password")
        }
        self.host = host
        user = parts.user
        password = parts.password
        url = "\(parts.scheme)://\(host)\(parts.port.map { ":\($0)" } ?? "")"
    }

    package var description: String { host }
}

/// `name@host`, in ASCII and nothing else, so that no header and no command can hide in it.
package struct MailAddress: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard text.utf8.count <= 254, parts.count == 2, (1...64).contains(parts[0].count), !parts[1].isEmpty else {
            return nil
        }
        let isName = parts[0].allSatisfy { Self.isLetterOrDigit($0) || Self.inNames.contains($0) }
        let isHost = parts[1].allSatisfy {
            Self.isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
        // A dot stands between two others of its part, never at an end.
        let dots = [parts[0], parts[1]].allSatisfy { part in
            part.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty }
        }
        guard isName, isHost, dots, parts[1].first != UInt8(ascii: "-") else { return nil }
        self.text = text
    }

    package var description: String { text }

    private static let inNames = Set("!#$%&'*+-/=?^_`{|}~.".utf8)

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case _: false
        }
    }
}

/// A URL in its parts, as libcurl will see them: two readers of one URL are one too many.
private struct URLParts {
    let scheme: String
    let host, port, user, password, path, query, fragment: String?

    init(_ text: String) throws(AddressFault) {
        guard let handle = unsafe curl_url() else { throw AddressFault("cannot be read: no memory") }
        defer { unsafe curl_url_cleanup(handle) }
        guard unsafe curl_url_set(handle, CURLUPART_URL, text, UInt32(CURLU_NON_SUPPORT_SCHEME)) == CURLUE_OK else {
            throw AddressFault("is no URL: expected https://HOST/PATH")
        }
        func part(_ which: CURLUPart, decoded: Bool = false) -> String? {
            var found: UnsafeMutablePointer<CChar>?
            let flags = decoded ? UInt32(CURLU_URLDECODE) : 0
            guard unsafe curl_url_get(handle, which, &found, flags) == CURLUE_OK, let found = unsafe found else {
                return nil
            }
            defer { unsafe curl_free(found) }
            return unsafe String(cString: found)
        }
        scheme = part(CURLUPART_SCHEME) ?? ""
        host = part(CURLUPART_HOST)
        port = part(CURLUPART_PORT)
        user = part(CURLUPART_USER, decoded: true)
        password = part(CURLUPART_PASSWORD, decoded: true)
        path = part(CURLUPART_PATH)
        query = part(CURLUPART_QUERY)
        fragment = part(CURLUPART_FRAGMENT)
    }
}
