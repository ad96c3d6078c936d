internal import Contracts
internal import JSON
internal import Model
internal import Platform

/// A CloudEvent 1.0, in whatever mode it came: attributes as texts, checked, and its data.
struct CloudEvent {
    private(set) var attributes: [String: String] = [:]
    /// Extensions in their order, `partitionkey` and `traceparent` too.
    private(set) var extensions: [(name: String, value: String)] = []
    private(set) var faults: [EventFault] = []
    var data = Data.none

    enum Data {
        case none
        case json(JSONValue)
        case bytes([UInt8])
    }

    /// The data as it came, blanks around it and all, where it came as a body of its own.
    var body: [UInt8]?

    /// The attributes of the specification itself.
    static let known: Set<String> = [
        "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype",
    ]

    mutating func refuse(_ fault: EventFault) { faults.append(fault) }

    /// Notes an attribute. Attributes that are there twice are the reader's to refuse.
    mutating func set(_ name: String, _ value: String, at place: EventFault.Place) {
        if let reason = EnvelopeText.fault(value) { return refuse(place, reason) }
        guard Self.known.contains(name) else {
            guard Self.isAttribute(name) else {
                return refuse(place, "is no attribute: names are lower-case letters and digits")
            }
            // The edge says itself when it got an event.
            guard name != "recordedtime" else { return }
            guard extensions.count < Limits.extensions else {
                return refuse(place, "is one extension too many: \(Limits.extensions) are allowed")
            }
            return extensions.append((name, value))
        }
        switch name {
        case "specversion" where value != "1.0": refuse(place, "must be \"1.0\"")
        case "time" where Timestamp(text: value) == nil:
            refuse(place, "must be a time as \"2026-05-04T03:02:01.000Z\" (RFC 3339)")
        case _: attributes[name] = value
        }
    }

    private mutating func refuse(_ place: EventFault.Place, _ detail: String) {
        var fault = EventFault("", detail)
        fault.place = place
        faults.append(fault)
    }

    /// Whether an attribute may have this name.
    static func isAttribute(_ name: some StringProtocol) -> Bool {
        (1...Limits.extensionName).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            }
    }

    /// Throws what is wrong, missing attributes and what the topic's schema says included. `place` is where an
    /// attribute would be; `prefix` where the data is.
    func check(_ topic: EdgeTopic, prefix: String, _ place: (String) -> EventFault.Place) throws(EventRefusal) {
        var faults = faults
        for name in ["specversion", "id", "source", "type"] where attributes[name] == nil {
            let at = place(name)
            guard !faults.contains(where: { $0.place == at }) else { continue }
            var fault = EventFault("", "must be there")
            fault.place = at
            faults.append(fault)
        }
        let size = extensions.reduce(attributes.values.reduce(0) { $0 + $1.utf8.count }) {
            $0 + $1.name.utf8.count + $1.value.utf8.count
        }
        if size > Limits.attributeBytes {
            let detail = "its attributes have \(size) bytes, more than the \(Limits.attributeBytes) allowed"
            throw EventRefusal(.tooLarge, "", detail)
        }
        if let schema = topic.schema {
            if case .json(let value) = data {
                for violation in schema.validate(value) {
                    faults.append(EventFault(prefix + violation.pointer, violation.reason))
                }
            } else {
                faults.append(EventFault(prefix, "must be JSON: \(topic.topic.name) has a schema"))
            }
        }
        guard faults.isEmpty else { throw EventRefusal(.invalid, faults) }
    }

    /// Appends it, in Kafka's binary mode. Returns its id.
    func append(to batch: inout OutgoingBatch, _ context: PublishContext) -> String {
        let id = attributes["id"] ?? ""
        let mark = batch.headers.count
        batch.addHeader("ce_specversion", "1.0")
        batch.addHeader("ce_id", id)
        batch.addHeader("ce_source", context.source(attributes["source"] ?? ""))
        batch.addHeader("ce_type", attributes["type"] ?? "")
        batch.addHeader("ce_time", attributes["time"] ?? context.recordedText)
        if let subject = attributes["subject"] { batch.addHeader("ce_subject", subject) }
        batch.addHeader("ce_recordedtime", context.recordedText)
        if let schema = attributes["dataschema"] ?? context.topic.schema?.id {
            batch.addHeader("ce_dataschema", schema)
        }
        if let type = attributes["datacontenttype"] { batch.addHeader("content-type", type) }
        var trace: String?
        for (name, value) in extensions {
            // Kafka has it without a prefix, as whoever traces expects it.
            if name == "traceparent" { trace = value } else { batch.addHeader(named: "ce_\(name)", value) }
        }
        if let trace = context.place(of: id, own: trace, batch.count) {
            trace.withBytes { batch.addHeader("traceparent", $0) }
        }
        let target = context.topic.target
        let key = key.map { Array($0.utf8) }
        func append(_ value: RawSpan) {
            guard let key else { return batch.append(topic: target, key: nil, value: value, headersFrom: mark) }
            unsafe batch.append(topic: target, key: key.span.bytes, value: value, headersFrom: mark)
        }
        func append(_ value: [UInt8]) { unsafe append(value.span.bytes) }
        switch data {
        case .none: append([])
        case .bytes(let bytes): append(bytes)
        case .json(let value): if let body { append(body) } else { value.withSource { append($0) } }
        }
        return id
    }

    /// The campaign that the data names, else what the sender partitions by, else the campaign that the subject is,
    /// else the user.
    private var key: String? {
        var object: JSONValue?
        if case .json(let value) = data { object = value }
        func member(_ name: String) -> String? {
            object?[name].flatMap { EnvelopeText.fault($0) == nil ? $0.string : nil }
        }
        return member("campaign_id") ?? extensions.first { $0.name == "partitionkey" }?.value ?? attributes["subject"]
            ?? member("user_id")
    }
}
