internal import Contracts
internal import Flotilla
internal import JSON
internal import Model
internal import Platform

/// Brings an event into its one form: times in milliseconds, texts as the schema's `x-normalise` has them, and what the
/// value lacks taken from the envelope. Members that nobody knows stay as they are, in their order.
struct Normaliser: Sendable {
    /// By the name of the root's member.
    private let texts: [String: Normalisation]

    init(_ normalisations: [Normalisation]) {
        texts = Dictionary(
            normalisations.filter { $0.path.count == 1 }.map { ($0.path[0], $0) },
            uniquingKeysWith: { first, _ in first })
    }

    /// An event in its one form.
    struct Normal {
        let bytes: [UInt8]
        /// When it happened.
        let time: Int64
        let campaign: String?
    }

    /// Throws what the schema or the envelope does not allow.
    func normalise(_ value: JSONValue, of event: Event, schema: Schema) throws(Refusal) -> Normal {
        var writer = JSONWriter(capacity: 512)
        var time: Int64?
        var campaign: String?
        var missing: Set<String> = ["event_id", "event_type", "campaign_id"]
        var isChanged = false
        try writer.object { (json: inout JSONWriter) throws(Refusal) in
            for member in value.members {
                let name = member.name
                missing.remove(name)
                if name == "timestamp" {
                    time = try Self.time(member.value)
                    continue
                }
                json.name(name)
                if let rule = texts[name], let text = member.value.string {
                    let normal = rule.apply(to: text)
                    isChanged = isChanged || normal != text
                    if name == "campaign_id" { campaign = normal }
                    json.append(normal)
                } else {
                    json.append(member.value)
                }
            }
            if missing.contains("event_id") { json.member("event_id", event.id) }
            if missing.contains("event_type") { json.member("event_type", normal("event_type", event.type)) }
            if missing.contains("campaign_id"), let subject = event.subject {
                campaign = normal("campaign_id", subject)
                json.member("campaign_id", campaign ?? "")
            }
            if time == nil { time = try Self.time(event) }
            json.member("timestamp", time ?? 0)
        }
        // The raw schema speaks of what came, once its texts are as they should have been.
        let violations = isChanged ? Self.violations(writer.bytes, schema) : schema.validate(value)
        guard violations.isEmpty else { throw .schemaInvalid(violations.text) }
        return Normal(bytes: writer.bytes, time: time ?? 0, campaign: campaign)
    }

    private func normal(_ name: String, _ text: String) -> String { texts[name]?.apply(to: text) ?? text }

    private static func violations(_ bytes: [UInt8], _ schema: Schema) -> [SchemaViolation] {
        guard let document = try? unsafe JSONDocument(parsing: bytes.span.bytes) else {
            return [SchemaViolation(pointer: "", reason: "is no JSON any more")]
        }
        return schema.validate(document.root)
    }

    private static func time(_ value: JSONValue) throws(Refusal) -> Int64 {
        if let milliseconds = value.int64 { return milliseconds }
        if let text = value.string, let time = Timestamp(text: text) { return time.milliseconds }
        throw .schemaInvalid("/timestamp: must be milliseconds since 1970 or RFC 3339")
    }

    /// When the envelope says that it happened.
    private static func time(_ event: Event) throws(Refusal) -> Int64 {
        guard let text = event.timeText else {
            throw .schemaInvalid("has neither a timestamp nor a time in its envelope")
        }
        guard let time = Timestamp(text: text) else { throw .schemaInvalid("ce_time must be RFC 3339, is \(text)") }
        return time.milliseconds
    }
}
