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
        guard root.kind == .object else { throw .schemaInvalid("must be an object") }
        guard let type = try Self.text(root["event_type"], "/event_type", 255) else {
            throw .schemaInvalid("/event_type: is missing")
        }
        guard let time = root["timestamp"]?.int64, (0...Self.latest).contains(time) else {
            throw .schemaInvalid("/timestamp: must be milliseconds since 1970")
        }
        self.type = type
        self.time = Timestamp(milliseconds: time)
        campaign = try Self.text(root["campaign_id"], "/campaign_id", 1024)
        value = root["value"]
        if let value {
            let micros = value.decimal(fractionDigits: Campaign.Plan.fractionDigits)
            guard let micros, micros.magnitude < 1_000_000_000_000_000_000 else {
                throw .schemaInvalid("/value: must be a decimal below 10^12 of at most 6 fraction digits")
            }
        }
        user = root["user_id"]
        _ = try Self.text(user, "/user_id", 1024)
        dimensions = root["dimensions"]
        if let dimensions {
            guard dimensions.kind == .object, dimensions.members.allSatisfy({ $0.value.kind == .string }) else {
                throw .schemaInvalid("/dimensions: must be an object of texts")
            }
        }
        data = root["data"]
        if let data, data.kind != .object { throw .schemaInvalid("/data: must be an object") }
    }

    private static func text(_ value: JSONValue?, _ pointer: String, _ limit: Int) throws(Refusal) -> String? {
        guard let value else { return nil }
        guard let text = value.string, (1...limit).contains(text.utf8.count) else {
            throw .schemaInvalid("\(pointer): must be a text of 1 to \(limit) bytes")
        }
        // No table can hold it, and whoever reads the points would refuse them.
        guard !text.utf8.contains(0) else { throw .schemaInvalid("\(pointer): has a zero byte") }
        return text
    }
}
