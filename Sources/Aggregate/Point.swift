internal import Flotilla
internal import JSON
internal import Model
internal import Platform

/// A point of a time series, as `metrics.points` carries it. Topics are a boundary, so all of it is checked.
///
/// An object, because it goes through many hands: a copy of its texts would be counted at each.
final class Point: Sendable {
    let campaign: ByteText
    let metric: ByteText
    let time: Int64
    let value: Micros?
    /// The hash that `UniqueSketch` knows the user by.
    let user: UInt64?
    /// The dimensions that windows are kept for, by their places in the list of them; others are passed over.
    let dimensions: [(name: Int, value: ByteText)]

    init(_ root: JSONValue, keeping allowed: [String]) throws(Refusal) {
        guard root.kind == .object else { throw .schemaInvalid("must be an object") }
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
        user = try Self.user(root["user_id"])
        var kept: [(name: Int, value: ByteText)] = []
        if let given = root["dimensions"] {
            guard given.kind == .object else { throw .schemaInvalid("/dimensions: must be an object of texts") }
            for (place, name) in allowed.enumerated() {
                guard let member = given[name] else { continue }
                guard let text = member.string else { throw .schemaInvalid("/dimensions/\(name): must be a text") }
                kept.append((place, ByteText(text)))
            }
        }
        dimensions = kept
    }

    /// The end of the year 9999.
    private static let latest: Int64 = 253_402_300_799_999

    /// What a key of a table can hold: an index entry of Postgres has 2700 bytes for all of them.
    private static func text(_ root: JSONValue, _ name: String) throws(Refusal) -> ByteText {
        guard let text = root[name]?.string, (1...1024).contains(text.utf8.count) else {
            throw .schemaInvalid("/\(name): must be a text of 1 to 1024 bytes")
        }
        guard !text.utf8.contains(0) else { throw .schemaInvalid("/\(name): has a zero byte, which no table can hold") }
        return ByteText(text)
    }

    private static func user(_ value: JSONValue?) throws(Refusal) -> UInt64? {
        guard let value else { return nil }
        let hash = value.withUTF8 { bytes -> UInt64? in
            (1...1024).contains(bytes.count) ? StableHash.of(bytes) : nil
        }
        guard case .some(.some(let hash)) = hash else {
            throw .schemaInvalid("/user_id: must be a text of 1 to 1024 bytes")
        }
        return hash
    }
}
