internal import Flotilla
internal import JSON
internal import Platform

/// What `process` needs of an accepted event. Topics are a boundary: it is checked here although `ingest` has.
struct AcceptedEvent: Sendable {
    let type: String
    let campaign: String?
    let time: Timestamp
    let data: JSONValue?
    /// Those members that points take over as they are.
    let value: JSONValue?
    let user: JSONValue?
    let dimensions: JSONValue?

    /// The end of the year 9999.
    static let latest: Int64 = 253_402_300_799_999

    init(_ root: JSONValue) throws(Refusal) {
        guard let type = root["event_type"]?.string, !type.isEmpty else {
            throw .schemaInvalid("/event_type: must be a text with something in it")
        }
        guard let time = root["timestamp"]?.int64, (0...Self.latest).contains(time) else {
            throw .schemaInvalid("/timestamp: must be milliseconds since 1970")
        }
        self.type = type
        self.time = Timestamp(milliseconds: time)
        campaign = try Self.text(root["campaign_id"], "/campaign_id")
        // Neither a header nor a column takes one.
        guard campaign?.utf8.contains(0) != true else { throw .schemaInvalid("/campaign_id: must have no NUL") }
        value = root["value"]
        if let value, value.decimal(fractionDigits: Campaign.Plan.fractionDigits) == nil {
            throw .schemaInvalid("/value: must be a decimal of at most 6 fraction digits")
        }
        user = root["user_id"]
        _ = try Self.text(user, "/user_id")
        dimensions = root["dimensions"]
        if let dimensions {
            guard dimensions.kind == .object, dimensions.members.allSatisfy({ $0.value.kind == .string }) else {
                throw .schemaInvalid("/dimensions: must be an object of texts")
            }
        }
        data = root["data"]
        if let data, data.kind != .object { throw .schemaInvalid("/data: must be an object") }
    }

    private static func text(_ value: JSONValue?, _ pointer: String) throws(Refusal) -> String? {
        guard let value else { return nil }
        guard let text = value.string, !text.isEmpty else {
            throw .schemaInvalid("\(pointer): must be a text with something in it")
        }
        return text
    }
}
