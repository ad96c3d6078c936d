internal import Flotilla
internal import JSON
internal import Model
internal import Platform

/// Something that a rule may be about, as a topic brought it. Topics are a boundary, so what rules look at is checked.
struct Fact: Sendable {
    enum Content: Sendable {
        case window(Window)
        case campaign(state: String, version: Int64)
        case event(type: String, value: Double?)
    }

    struct Window: Sendable {
        let metric: String
        let step: WindowStep
        let start: Int64
        let dimension: String
        /// The dimension's; empty for the whole.
        let value: String
        let revision: Int64

        var end: Int64 { start + step.milliseconds }
    }

    let content: Content
    /// Nil for an event that names none.
    let campaign: String?
    /// When it happened: a window, when it ended.
    let time: Int64
    let root: JSONValue

    /// The end of the year 9999, less the longest window.
    private static let latest: Int64 = 253_402_300_799_999 - 86_400_000

    // MARK: Reading

    static func window(_ root: JSONValue) throws(Refusal) -> Fact {
        let metric = try text(root, "metric")
        guard let name = root["step"]?.string, let step = WindowStep(rawValue: name) else {
            throw .schemaInvalid("/step: must be 1m, 1h or 1d")
        }
        guard let start = root["window_start"]?.string.flatMap(Timestamp.init(text:)),
            (0...latest).contains(start.milliseconds)
        else { throw .schemaInvalid("/window_start: must be a time in RFC 3339") }
        for measure in [Measure.count, .sum, .uniques] where root[measure.rawValue]?.double?.isFinite != true {
            throw .schemaInvalid("/\(measure.rawValue): must be a number")
        }
        for measure in [Measure.p50, .p95, .p99] {
            guard let value = root[measure.rawValue], !value.isNull else { continue }
            guard value.double?.isFinite == true else {
                throw .schemaInvalid("/\(measure.rawValue): must be a number or null")
            }
        }
        guard let revision = root["revision"]?.int64, revision >= 0 else {
            throw .schemaInvalid("/revision: must be a whole number from 0 on")
        }
        guard let dimensions = root["dimensions"], dimensions.kind == .object, dimensions.count <= 1 else {
            throw .schemaInvalid("/dimensions: must be an object of at most one member")
        }
        var (dimension, value) = ("", "")
        for member in dimensions.members {
            // A value is part of a key, and an index entry of Postgres has 2700 bytes for all of one.
            guard let text = member.value.string, text.utf8.count <= 1024, !text.utf8.contains(0) else {
                throw .schemaInvalid("/dimensions: must be a text of at most 1024 bytes")
            }
            (dimension, value) = (member.name, text)
        }
        let window = Window(
            metric: metric, step: step, start: start.milliseconds, dimension: dimension, value: value,
            revision: revision)
        return Fact(content: .window(window), campaign: try text(root, "campaign_id"), time: window.end, root: root)
    }

    static func campaign(_ root: JSONValue) throws(Refusal) -> Fact {
        guard let version = root["version"]?.int64, version > 0 else {
            throw .schemaInvalid("/version: must be a whole number from 1 on")
        }
        return Fact(
            content: .campaign(state: try text(root, "state"), version: version),
            campaign: try text(root, "campaign_id"), time: try time(root, "changed_at"), root: root)
    }

    static func event(_ root: JSONValue) throws(Refusal) -> Fact {
        let type = try text(root, "event_type")
        var value: Double?
        if let number = root["value"] {
            guard let found = number.double, found.isFinite else { throw .schemaInvalid("/value: must be a number") }
            value = found
        }
        let campaign = root["campaign_id"] == nil ? nil : try text(root, "campaign_id")
        return Fact(
            content: .event(type: type, value: value), campaign: campaign, time: try time(root, "timestamp"), root: root
        )
    }

    /// A window that nobody has told of: it had nothing in it.
    static func empty(_ series: Series, campaign: String, value: String, start: Int64) throws -> Fact {
        var writer = JSONWriter()
        writer.object { json in
            json.member("campaign_id", campaign)
            json.member("metric", series.metric)
            json.member("window_start", Timestamp(milliseconds: start).description)
            json.member("step", series.step.rawValue)
            json.object("dimensions") { if let dimension = series.dimension { $0.member(dimension, value) } }
            for measure in [Measure.count, .sum, .uniques] { json.member(measure.rawValue, 0) }
            for measure in [Measure.p50, .p95, .p99] {
                json.name(measure.rawValue)
                json.appendNull()
            }
            json.member("revision", 0)
        }
        return try window(JSONDocument(parsing: writer.bytes).root)
    }

    private static func text(_ root: JSONValue, _ name: String) throws(Refusal) -> String {
        guard let text = root[name]?.string, !text.isEmpty, text.utf8.count <= 1024, !text.utf8.contains(0) else {
            throw .schemaInvalid("/\(name): must be a text of 1 to 1024 bytes")
        }
        return text
    }

    private static func time(_ root: JSONValue, _ name: String) throws(Refusal) -> Int64 {
        guard let time = root[name]?.int64, (0...253_402_300_799_999).contains(time) else {
            throw .schemaInvalid("/\(name): must be milliseconds since 1970, to the year 9999")
        }
        return time
    }

    // MARK: What rules look at

    /// What a window measures; nil for a quantile of nothing.
    func value(_ measure: Measure) -> Double? { root[measure.rawValue]?.double }

    /// A number as it was written.
    func valueText(_ measure: Measure) -> String { root[measure.rawValue]?.numberText ?? "nothing" }

    /// Whether a rule has anything to say about it.
    func concerns(_ rule: Rule) -> Bool {
        switch (rule.kind, content) {
        case (.window(let series, _), .window(let window)), (.change(let series, _), .window(let window)):
            series.step == window.step && Self.isSame(series.metric, window.metric)
                && Self.isSame(series.dimension ?? "", window.dimension) && isWanted(series.campaign)
        case (.campaign(let states, let wanted), .campaign(let state, _)):
            states.contains(state) && isWanted(wanted)
        case (.event(let wantedType, let above, let wanted), .event(let type, let value)):
            Self.isSame(wantedType, type) && isWanted(wanted)
                && above.map { limit in value.map { $0 > limit } ?? false } ?? true
        case (.window, _), (.change, _), (.campaign, _), (.event, _): false
        }
    }

    private func isWanted(_ wanted: String?) -> Bool {
        wanted.map { wanted in campaign.map { Self.isSame(wanted, $0) } ?? false } ?? true
    }

    /// Byte by byte, as tables and other handlers have it: two ways of writing é are two names.
    private static func isSame(_ left: String, _ right: String) -> Bool { ByteText(left) == ByteText(right) }

    /// What is remembered apart for a rule: each campaign, and each value of the dimension.
    var seriesValue: String { if case .window(let window) = content { window.value } else { "" } }

    // MARK: Templates

    private static let windowNames = [
        "rule", "campaign_id", "metric", "step", "window_start", "window_end", "dimensions", "measure", "value",
        "count",
        "sum", "uniques", "p50", "p95", "p99", "suppressed",
    ]

    /// What templates of a kind of rule can show.
    static func names(of kind: String) -> [String] {
        switch kind {
        case "window": windowNames + ["alarm", "limit", "since"]
        case "change": windowNames + ["previous", "change"]
        case "campaign":
            [
                "rule", "campaign_id", "state", "previous", "version", "changed_at", "name", "budget", "start", "end",
                "goals", "suppressed",
            ]
        case _:
            ["rule", "event_id", "event_type", "timestamp", "campaign_id", "value", "dimensions", "data", "suppressed"]
        }
    }

    /// The subject of a rule that has none of its own.
    static func subject(of kind: String) -> Template? {
        let text =
            switch kind {
            case "window": "{{ rule }} {{ alarm }}: {{ campaign_id }}"
            case "change", "campaign": "{{ rule }}: {{ campaign_id }}"
            case _: "{{ rule }}: {{ campaign_id | no campaign }}"
            }
        return try? Template(text, names: names(of: kind))
    }
}
