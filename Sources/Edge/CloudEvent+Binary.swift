internal import HTTP
internal import JSON
internal import WebAPI

extension CloudEvent {
    /// Whether a request is an event in binary mode: attributes in headers, data as the body.
    static func isBinary(_ request: HTTPRequest) -> Bool {
        request.hasHeader("ce-specversion") || request.hasHeader("ce-id") || request.hasHeader("ce-type")
    }

    /// An event in binary mode.
    init(headers request: HTTPRequest, body: [UInt8], _ topic: EdgeTopic) throws(EventRefusal) {
        self.init()
        var seen: Set<String> = []
        for field in request.headers {
            if field.name == "content-type" {
                set("datacontenttype", field.value, at: .header(field.name))
            }
            guard field.name.hasPrefix("ce-") else { continue }
            let name = String(field.name.dropFirst(3))
            guard seen.insert(name).inserted else {
                throw EventRefusal(.illegible, [EventFault(header: field.name, "is there twice: which one is meant?")])
            }
            // That is `content-type`.
            if name == "datacontenttype" {
                refuse(EventFault(header: field.name, "must not be there: content-type says it"))
            } else if let value = HeaderText.decode(field.value) {
                set(name, value, at: .header(field.name))
            } else {
                refuse(EventFault(header: field.name, "is not percent-encoded UTF-8"))
            }
        }
        if let type = attributes["datacontenttype"].map({ MediaType($0) }), type.isJSON, !body.isEmpty {
            do throws(JSONFault) {
                data = .json(try JSONDocument(parsing: body, limit: Limits.event).root)
                self.body = body
            } catch { throw EventRefusal(error) }
        } else if !body.isEmpty {
            data = .bytes(body)
        }
        try check(topic, prefix: "") { .header("ce-\($0)") }
    }
}

/// How CloudEvents puts texts into HTTP headers: percent-encoded UTF-8, perhaps in quotes.
enum HeaderText {
    /// Nil when it is none.
    static func decode(_ text: String) -> String? {
        var text = text
        if text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") { text = unquoted(text) }
        return text.percentDecoded
    }

    private static func unquoted(_ text: String) -> String {
        var plain = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\", !isEscaped {
                isEscaped = true
            } else {
                plain.append(character)
                isEscaped = false
            }
        }
        return plain
    }
}
