internal import JSON

extension CloudEvent {
    /// An event in structured mode: `application/cloudevents+json`, or one of a batch.
    init(structured value: JSONValue, _ topic: EdgeTopic) throws(EventRefusal) {
        self.init()
        guard value.kind == .object else { throw EventRefusal(.invalid, "", "must be an object: a CloudEvent") }
        if let twice = value.firstDuplicateKey() {
            throw EventRefusal(.illegible, twice, "is there twice: which one is meant?")
        }
        var (plain, base64): (JSONValue?, JSONValue?)
        for member in value.members {
            switch member.name {
            case "data": plain = member.value
            case "data_base64": base64 = member.value
            case let name:
                let place = EventFault.Place.pointer("/" + JSONPointer.escaped(String(name.prefix(80))))
                guard let text = Self.text(member.value, isKnown: Self.known.contains(name)) else {
                    // Null is the same as not there.
                    if !member.value.isNull {
                        refuse(EventFault("/" + JSONPointer.escaped(String(name.prefix(80))), Self.wanted(name)))
                    }
                    continue
                }
                set(name, text, at: place)
            }
        }
        take(plain, base64)
        try check(topic, prefix: "/data") { .pointer("/\($0)") }
    }

    private static func wanted(_ name: String) -> String {
        known.contains(name) ? "must be a text" : "must be a text, a whole number or a boolean"
    }

    private static func text(_ value: JSONValue, isKnown: Bool) -> String? {
        if let text = value.string { return text }
        guard !isKnown else { return nil }
        if let flag = value.bool { return flag ? "true" : "false" }
        return value.int64.flatMap { Int32(exactly: $0) }.map { "\($0)" }
    }

    private mutating func take(_ plain: JSONValue?, _ base64: JSONValue?) {
        let type = attributes["datacontenttype"].map { MediaType($0) }
        if let base64 {
            if plain != nil { return refuse(EventFault("/data_base64", "stands beside \"data\": send one of them")) }
            guard let bytes = base64.withUTF8({ Base64.decode($0) }) ?? nil else {
                return refuse(EventFault("/data_base64", "must be a text in base64"))
            }
            guard type?.isJSON ?? false else { return data = .bytes(bytes) }
            do throws(JSONFault) {
                data = .json(try JSONDocument(parsing: bytes, limit: Limits.list).root)
            } catch { refuse(EventFault("/data_base64", "is not the JSON that datacontenttype says: \(error)")) }
        } else if let plain {
            if type?.isJSON ?? true {
                data = .json(plain)
                if type == nil { set("datacontenttype", "application/json", at: .pointer("/datacontenttype")) }
            } else if let text = plain.string {
                data = .bytes(Array(text.utf8))
            } else {
                refuse(EventFault("/data", "must be a text, because datacontenttype is not JSON"))
            }
        }
    }
}

/// RFC 4648, the alphabet with + and /.
enum Base64 {
    /// Nil when it is none.
    static func decode(_ text: borrowing Span<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var (word, padding): (UInt32, Int) = (0, 0)
        for index in text.indices {
            let byte = text[index]
            if byte == UInt8(ascii: "="), index >= text.count - 2 {
                padding += 1
                word <<= 6
            } else {
                guard padding == 0, let digit = digit(byte) else { return nil }
                word = word << 6 | digit
            }
            guard index % 4 == 3 else { continue }
            bytes.append(UInt8(truncatingIfNeeded: word >> 16))
            bytes.append(UInt8(truncatingIfNeeded: word >> 8))
            bytes.append(UInt8(truncatingIfNeeded: word))
            word = 0
        }
        bytes.removeLast(padding)
        return bytes
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        case _: nil
        }
    }
}
