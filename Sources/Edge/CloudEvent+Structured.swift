internal import JSON
internal import Platform

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
