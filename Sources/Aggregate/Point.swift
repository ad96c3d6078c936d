internal import Flotilla
internal import JSON
internal import Platform

/// A point of a time series, as `metrics.points` carries it. Topics are a boundary, so all of it is checked.
struct Point: Sendable {
    let campaign: String
    let metric: String
    let time: Int64
    let value: Micros?
    let user: String?
    /// The dimensions that windows are kept for; others are passed over.
    let dimensions: [(name: String, value: String)]

    init(_ root: JSONValue, keeping allowed: [String]) throws(Refusal) {
        campaign = try Self.text(root, "campaign_id")
        metric = try Self.text(root, "metric")
        guard let time = root["timestamp"]?.int64, (0...Self.latest).contains(time) else {
            throw .schemaInvalid("/timestamp: must be milliseconds since 1970, to the year 9999")
        }
        self.time = time
        if let number = root["value"] {
            guard let value = Micros(number) else {
                throw .schemaInvalid("/value: must be a decimal below 10^12 of at most 6 fraction digits")
            }
            self.value = value
        } else {
            value = nil
        }
        user = root["user_id"] == nil ? nil : try Self.text(root, "user_id")
        var kept: [(name: String, value: String)] = []
        if let given = root["dimensions"] {
            guard given.kind == .object else { throw .schemaInvalid("/dimensions: must be an object of texts") }
            for name in allowed {
                guard let member = given[name] else { continue }
                guard let text = member.string else { throw .schemaInvalid("/dimensions/\(name): must be a text") }
                kept.append((name, text))
            }
        }
        dimensions = kept
    }

    /// The end of the year 9999.
    private static let latest: Int64 = 253_402_300_799_999

    private static func text(_ root: JSONValue, _ name: String) throws(Refusal) -> String {
        guard let text = root[name]?.string, !text.isEmpty, text.utf8.count <= 1024 else {
            throw .schemaInvalid("/\(name): must be a text of 1 to 1024 bytes")
        }
        return text
    }
}
