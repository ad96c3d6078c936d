/// A request as far as its headers.
package struct HTTPRequest: Sendable {
    package let method: String
    /// As it came: percent-encoded, without the query.
    package let path: String
    /// Names in lower case, in the order they came.
    package let headers: [Field]
    /// What names and values have in all.
    package let headerBytes: Int
    /// The names and values of the query, as they came.
    package let query: [Field]
    /// Whether the client spoke HTTP/1.0.
    package let isOld: Bool
    /// The common name of the client's certificate, when one of those was shown that the server takes.
    package var peer: String?
    /// What is not UTF-8: the path, or a header by its name.
    let illegible: String?

    package struct Field: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(
        method: String, path: String, headers: [Field] = [], headerBytes: Int = 0, query: [Field] = [],
        isOld: Bool = false, illegible: String? = nil
    ) {
        self.method = method
        self.path = path
        self.headers = headers
        self.headerBytes = headerBytes
        self.query = query
        self.isOld = isOld
        self.illegible = illegible
    }

    /// The first value of a header; `name` in lower case.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    package func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    /// What `content-length` says.
    package var contentLength: Int? { header("content-length").flatMap { Int($0) } }

    package var isChunked: Bool { header("transfer-encoding") != nil }

    package var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

    package var expectsContinue: Bool { header("expect") != nil }
}

extension HTTPRequest {
    /// What is wrong with how the message is put together, so that the next proxy might see another message in the
    /// same bytes; nil when nothing is. libmicrohttpd itself takes most of it.
    var framingFault: (status: Int, detail: String)? {
        if let illegible { return (400, "\(illegible) is not UTF-8 text") }
        var (lengths, encodings, hosts) = (0, 0, 0)
        for field in headers {
            guard !field.name.isEmpty, field.name.utf8.allSatisfy(Self.isToken) else {
                return (400, "the header name \(field.name.debugDescription) has characters that no name has")
            }
            guard field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 9 }) else {
                return (400, "the header \(field.name) has control characters")
            }
            switch field.name {
            case "content-length":
                lengths += 1
                guard field.value.utf8.allSatisfy({ (0x30...0x39).contains($0) }), Int(field.value) != nil else {
                    return (400, "content-length is not a number: \(field.value.prefix(40).debugDescription)")
                }
            case "transfer-encoding":
                encodings += 1
                guard field.value.lowercased() == "chunked" else {
                    return (400, "transfer-encoding may only be chunked, is \(field.value.prefix(40).debugDescription)")
                }
            case "host": hosts += 1
            case "expect":
                guard field.value.lowercased() == "100-continue" else {
                    return (417, "expect may only be 100-continue")
                }
            case _: break
            }
        }
        if lengths > 0, encodings > 0 {
            return (400, "content-length together with transfer-encoding: send one of them")
        }
        if lengths > 1 || encodings > 1 || hosts > 1 {
            let name = lengths > 1 ? "content-length" : encodings > 1 ? "transfer-encoding" : "host"
            return (400, "the header \(name) is there more than once")
        }
        if isOld, encodings > 0 { return (400, "HTTP/1.0 has no transfer-encoding") }
        return nil
    }

    /// What RFC 9110 lets a header's name consist of.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "|"),
            UInt8(ascii: "~"):
            true
        case _: false
        }
    }
}
