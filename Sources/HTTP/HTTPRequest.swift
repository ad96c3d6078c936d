/// A request as far as its headers. An object, because everybody hands it on.
package final class HTTPRequest: Sendable {
    package let method: String
    /// As it came: percent-encoded, without the query.
    package let path: String
    /// The names and values of the query, as they came.
    package let query: [Field]
    /// Whether the client spoke HTTP/1.0.
    package let isOld: Bool
    /// The common name of the client's certificate, when one of those was shown that the server takes.
    package let peer: String?
    /// What `content-length` says.
    package let contentLength: Int?
    package let isChunked: Bool
    package let expectsContinue: Bool
    private let block: HeaderBlock
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

    package convenience init(method: String, path: String, headers: [Field] = []) {
        self.init(method: method, path: path, block: HeaderBlock(headers))
    }

    init(
        method: String, path: String, block: HeaderBlock, query: [Field] = [], isOld: Bool = false,
        peer: String? = nil, illegible: String? = nil
    ) {
        self.method = method
        self.path = path
        self.block = block
        self.query = query
        self.isOld = isOld
        self.peer = peer
        self.illegible = illegible ?? block.illegible.map { "the header \($0.prefix(40))" }
        contentLength = block.first("content-length").flatMap { Self.number(block.bytes[block.valueRange($0)]) }
        isChunked = block.first("transfer-encoding") != nil
        expectsContinue = block.first("expect") != nil
    }

    /// Names in lower case, in the order they came.
    package var headers: [Field] { block.places.map { Field(block.name($0), block.value($0)) } }

    /// What names and values have in all.
    package var headerBytes: Int { block.size }

    /// The first value of a header; `name` in lower case.
    package func header(_ name: StaticString) -> String? { block.first(name).map { block.value($0) } }

    /// Lends the bytes of a header's first value; nil when there is none.
    package func withHeader<Result>(_ name: StaticString, _ body: (Span<UInt8>) -> Result) -> Result? {
        block.first(name).map { block.withValue($0, body) }
    }

    package func hasHeader(_ name: StaticString) -> Bool { block.first(name) != nil }

    /// How often a header is there.
    package func count(_ name: StaticString) -> Int { block.count(name) }

    /// Whether a header is there once, with exactly this value.
    package func isHeader(_ name: StaticString, _ value: StaticString) -> Bool {
        guard let place = block.first(name), block.count(name) == 1 else { return false }
        return block.isValue(place, value)
    }

    package func values(_ name: StaticString) -> [String] {
        block.places.filter { block.isNamed($0, name) }.map { block.value($0) }
    }

    package var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

    /// A number of digits alone, within 63 bits.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        var number = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            number = number * 10 + Int(digit - 0x30)
        }
        return number
    }
}

extension HTTPRequest {
    /// What is wrong with how the message is put together, so that the next proxy might see another message in the
    /// same bytes; nil when nothing is. libmicrohttpd itself takes most of it.
    var framingFault: (status: Int, detail: String)? {
        if let illegible { return (400, "\(illegible) is not UTF-8 text") }
        var (lengths, encodings, hosts) = (0, 0, 0)
        for place in block.places {
            guard place.nameCount > 0, isToken(place) else {
                return (400, "the header name \(block.name(place).debugDescription) has characters that no name has")
            }
            guard !place.hasControl else { return (400, "the header \(block.name(place)) has control characters") }
            // The first letter tells nearly all of them apart from these.
            switch block.bytes[place.start] {
            case UInt8(ascii: "c") where block.isNamed(place, "content-length"):
                lengths += 1
                guard Self.number(block.bytes[block.valueRange(place)]) != nil else {
                    let shown = block.value(place).prefix(40).debugDescription
                    return (400, "content-length is not a number: \(shown)")
                }
            case UInt8(ascii: "t") where block.isNamed(place, "transfer-encoding"):
                encodings += 1
                guard block.value(place).lowercased() == "chunked" else {
                    let shown = block.value(place).prefix(40).debugDescription
                    return (400, "transfer-encoding may only be chunked, is \(shown)")
                }
            case UInt8(ascii: "h") where block.isNamed(place, "host"): hosts += 1
            case UInt8(ascii: "e") where block.isNamed(place, "expect"):
                guard block.value(place).lowercased() == "100-continue" else {
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

    private func isToken(_ place: HeaderBlock.Place) -> Bool {
        for index in place.start..<place.start + place.nameCount {
            if !Self.isToken(block.bytes[index]) { return false }
        }
        return true
    }

    /// What RFC 9110 lets a header's name consist of; letters are lower-case ones here.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "."), UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        case _: false
        }
    }
}
