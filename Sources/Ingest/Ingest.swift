public import Contracts
public import Flotilla
internal import JSON
internal import Model
internal import Platform

/// Takes events in: checks them against the schema of their topic, brings them into one form, and refuses what comes too
/// late. One accepted event for each that passes; a dead letter that says why for each that does not.
///
/// It keeps nothing, so an event that comes twice gives the same accepted event twice, under the same id.
public struct Ingest: Handler {
    public let name: HandlerName = "ingest"
    private let raw: Schema
    private let accepted: Schema
    private let normaliser: Normaliser

    static let output: TopicName = "events.accepted"

    /// The schemas of `events.raw` and `events.accepted`, as their topic files name them.
    public init(raw: Schema, accepted: Schema) {
        self.raw = raw
        self.accepted = accepted
        normaliser = Normaliser(raw.normalisations)
    }

    public func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        let value = try event.json()
        guard value.kind == .object else { throw Refusal.schemaInvalid("an event is an object, this is \(value.kind)") }
        if let twice = value.firstDuplicateKey(deep: false) { throw Refusal.schemaInvalid("\(twice): is there twice") }
        let normal = try normaliser.normalise(value, of: event, schema: raw)
        try check(normal.bytes)
        try Lateness.judge(normal.time, recorded: Self.recorded(event, context))
        // By the campaign as it is called from here on: with the sender's key, "spring" and " spring" would be in two
        // partitions, and changed by two workers.
        var output = Outgoing(to: Self.output, from: event, key: normal.campaign, json: normal.bytes)
            .at("\(Timestamp(milliseconds: normal.time))")
        if let schema = accepted.id { output = output.keeping(to: schema) }
        return [output]
    }

    /// What leaves has to be what the topic promises, whatever came in.
    private func check(_ bytes: [UInt8]) throws {
        let document = try unsafe JSONDocument(parsing: bytes.span.bytes)
        let violations = accepted.validate(document.root)
        guard violations.isEmpty else { throw Refusal.schemaInvalid(violations.text) }
    }

    /// When the edge took the event in. One that came into the topic by another way counts from when it was written.
    private static func recorded(_ event: Event, _ context: Context) -> Int64 {
        event.header("ce_recordedtime").flatMap { Timestamp(text: $0)?.milliseconds } ?? event.record.timestamp
            ?? context.now.milliseconds
    }
}

/// How old an event may be when it is taken in. Judged once, here, by the times that it carries: what waits in a retry
/// topic or is replayed does not grow too old by that.
enum Lateness {
    static let past: Int64 = 24 * 3_600_000
    static let future: Int64 = 5 * 60_000

    static func judge(_ time: Int64, recorded: Int64) throws(Refusal) {
        let (age, overflow) = recorded.subtractingReportingOverflow(time)
        if overflow || age > past {
            throw .late("happened \(Timestamp(milliseconds: time)), and was taken in more than 24 hours later")
        }
        if age < -future {
            throw .late("is to happen \(Timestamp(milliseconds: time)), more than 5 minutes after it was taken in")
        }
    }
}

extension [SchemaViolation] {
    /// The first few, for a header.
    var text: String { prefix(5).map(\.description).joined(separator: "; ") }
}
