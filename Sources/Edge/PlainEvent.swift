internal import Contracts
internal import JSON
internal import Model
internal import Platform

/// An event as plain JSON: the members that the envelope is made of, checked.
///
/// What else is in the object is nobody's business here. Nothing is put into it: the object is published byte for byte.
struct PlainEvent {
    /// Where they stand in the document.
    private let id, type, campaign, user: Int?
    /// As the envelope has it.
    private let time: String?
    private let value: JSONValue

    /// Reads an object. Throws everything that is wrong with it.
    init(_ value: JSONValue, schema check: EdgeTopic) throws(EventRefusal) {
        self.value = value
        guard value.kind == .object else {
            throw EventRefusal(.invalid, "", "must be an object with at least \"event_type\"")
        }
        if let twice = value.firstDuplicateKey() {
            throw EventRefusal(.illegible, twice, "is there twice: which one is meant?")
        }
        var faults: [EventFault] = []
        var hasType = false
        var (id, type, campaign, user): (Int?, Int?, Int?, Int?)
        var time: String?
        value.forEachMember { name, own in
            switch Name(name) {
            case .id: id = Self.name(own, "/event_id", &faults)
            case .type:
                hasType = true
                type = Self.name(own, "/event_type", &faults)
            case .campaign: campaign = Self.name(own, "/campaign_id", &faults)
            case .user: user = Self.name(own, "/user_id", &faults)
            case .timestamp:
                time = Self.time(own)
                if time == nil {
                    faults.append(
                        EventFault(
                            "/timestamp",
                            "must be milliseconds since 1970, or a text as \"2026-05-04T03:02:01.000Z\" (RFC 3339)"))
                }
            case .value: Self.check(number: own, &faults)
            case .dimensions: Self.check(dimensions: own, &faults)
            case .data:
                if own.kind != .object { faults.append(EventFault("/data", "must be an object")) }
            case nil: break
            }
        }
        (self.id, self.type, self.campaign, self.user, self.time) = (id, type, campaign, user, time)
        if !hasType { faults.append(EventFault("/event_type", "must be there: what happened?")) }
        if let schema = check.schema {
            for violation in schema.validate(value) {
                // What was said already is not said twice.
                let isKnown = faults.contains { $0.place == .pointer(violation.pointer) }
                if !isKnown { faults.append(EventFault(violation.pointer, violation.reason)) }
            }
        }
        guard faults.isEmpty else { throw EventRefusal(.invalid, faults) }
    }

    /// Appends it; `range` is where it is written. Returns its id.
    func append(
        to batch: inout OutgoingBatch, _ context: PublishContext, _ range: Range<Int>, _ index: Int
    ) -> String {
        let document = value.document
        func text(_ place: Int?) -> JSONValue? { place.map { document.value(at: $0) } }
        let id = text(self.id)?.string ?? context.newID(index)
        let mark = batch.headers.count
        batch.addHeader("ce_specversion", "1.0")
        batch.addHeader("ce_id", id)
        batch.addHeader("ce_source", context.source)
        batch.addHeader("ce_type", from: text(type))
        batch.addHeader("ce_time", time ?? context.recordedText)
        if campaign != nil { batch.addHeader("ce_subject", from: text(campaign)) }
        batch.addHeader("ce_recordedtime", context.recordedText)
        if let schema = context.topic.schema?.id { batch.addHeader("ce_dataschema", schema) }
        batch.addHeader("content-type", "application/json")
        if let trace = context.place(of: id, batch.count) { trace.withBytes { batch.addHeader("traceparent", $0) } }
        let target = context.topic.target
        document.withSource { whole in
            let source = whole.extracting(range)
            if let key = text(campaign ?? user) {
                _ = key.withUTF8 { key in
                    unsafe batch.append(topic: target, key: key.bytes, value: source, headersFrom: mark)
                }
            } else {
                batch.append(topic: target, key: nil, value: source, headersFrom: mark)
            }
        }
        return id
    }

    // MARK: Members

    private enum Name {
        case id, type, campaign, user, timestamp, value, dimensions, data

        /// Nil for what is no part of the envelope. Lengths tell nearly all apart.
        init?(_ key: borrowing JSONValue) {
            switch key.withUTF8({ $0.count }) ?? 0 {
            case 4 where key.isString("data"): self = .data
            case 5 where key.isString("value"): self = .value
            case 7 where key.isString("user_id"): self = .user
            case 8 where key.isString("event_id"): self = .id
            case 9 where key.isString("timestamp"): self = .timestamp
            case 10 where key.isString("event_type"): self = .type
            case 10 where key.isString("dimensions"): self = .dimensions
            case 11 where key.isString("campaign_id"): self = .campaign
            case _: return nil
            }
        }
    }

    /// A text that becomes a header or a key; nil when it cannot.
    private static func name(_ value: borrowing JSONValue, _ pointer: String, _ faults: inout [EventFault]) -> Int? {
        if let reason = EnvelopeText.fault(value) {
            faults.append(EventFault(pointer, reason))
            return nil
        }
        return value.place
    }

    /// A time as the envelope has it; nil when the value is none.
    private static func time(_ value: borrowing JSONValue) -> String? {
        if let milliseconds = value.int64 {
            guard (0...EnvelopeText.lastMillisecond).contains(milliseconds) else { return nil }
            return Timestamp(milliseconds: milliseconds).description
        }
        guard value.withUTF8({ $0.count <= 64 && Timestamp(utf8: $0) != nil }) == true else { return nil }
        return value.string
    }

    private static func check(number: borrowing JSONValue, _ faults: inout [EventFault]) {
        guard number.kind == .number else { return faults.append(EventFault("/value", "must be a number")) }
        if let units = number.decimal(fractionDigits: 6), units.magnitude < 1_000_000_000_000_000_000 { return }
        faults.append(EventFault("/value", "must have at most 6 fraction digits and be below 10^12"))
    }

    private static func check(dimensions: borrowing JSONValue, _ faults: inout [EventFault]) {
        guard dimensions.kind == .object else {
            return faults.append(EventFault("/dimensions", "must be an object of texts"))
        }
        if dimensions.count > Limits.dimensions {
            return faults.append(
                EventFault("/dimensions", "may have \(Limits.dimensions) members, has \(dimensions.count)"))
        }
        if let twice = dimensions.firstDuplicateKey() {
            faults.append(EventFault("/dimensions" + twice, "is there twice"))
        }
        dimensions.forEachMember { name, value in
            let isLong = name.withUTF8 { $0.count > Limits.id } ?? true
            let detail: String? =
                if isLong { "has a name of more than \(Limits.id) bytes" } else if value.kind != .string {
                    "must be a text"
                } else if value.withUTF8({ $0.count > Limits.id }) ?? true {
                    "may have \(Limits.id) bytes"
                } else { nil }
            if let detail {
                let shown = JSONPointer.escaped(String((name.string ?? "").prefix(80)))
                faults.append(EventFault("/dimensions/\(shown)", detail))
            }
        }
    }
}

/// Texts that become headers: what they may be.
enum EnvelopeText {
    /// The last millisecond of the year 9999, beyond which no text has a time.
    static let lastMillisecond: Int64 = 253_402_300_799_999

    /// Why a value cannot be one; nil when it can.
    static func fault(_ value: borrowing JSONValue) -> String? {
        guard let reason = value.withUTF8({ fault($0) }) else { return "must be a text" }
        return reason
    }

    static func fault(_ bytes: borrowing Span<UInt8>) -> String? {
        if bytes.isEmpty { return "must not be empty" }
        if bytes.count > Limits.id { return "may have \(Limits.id) bytes, has \(bytes.count)" }
        for index in bytes.indices where bytes[index] < 0x20 || bytes[index] == 0x7f {
            return "must not have control characters"
        }
        return nil
    }

    static func fault(_ text: String) -> String? { fault(text.utf8.span) }
}

extension OutgoingBatch {
    /// A header whose value is a string of a document; none for nil.
    mutating func addHeader(_ name: StaticString, from value: JSONValue?) {
        _ = value?.withUTF8 { text in unsafe addHeader(name, text.bytes) }
    }
}
