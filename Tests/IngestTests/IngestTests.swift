import Contracts
import Flotilla
import FlotillaTesting
import Ingest
import JSON
import Model
import Platform
import Testing

/// The topics as they stand in the repository, and ingest as `flotilla work ingest` runs it.
struct IngestTests {
    private static let folder = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/topics"
    /// 2026-05-04T03:02:01Z
    private static let now: Int64 = 1_777_863_721_000

    private let ingest: Ingest

    init() throws {
        let catalog = try TopicCatalog(folder: Self.folder)
        ingest = Ingest(
            raw: try #require(catalog["events.raw"]?.schema), accepted: try #require(catalog["events.accepted"]?.schema)
        )
    }

    /// What becomes of a value with this envelope.
    private func accepted(
        _ json: String, id: String = "e1", type: String = "click", subject: String? = nil, time: String? = nil,
        recorded: Int64 = now
    ) async throws -> PublishedEvent {
        let event = try Event.sample(
            id: id, type: type, subject: subject, time: time, json: json, topic: "events.raw",
            headers: [Header("ce_recordedtime", "\(Timestamp(milliseconds: recorded))")])
        let outputs = try await ingest.outputs(of: event)
        #expect(outputs.count == 1)
        return try #require(outputs.first)
    }

    private func refusal(_ json: String, type: String = "click", time: String? = nil) async throws -> Refusal {
        try #require(
            await #expect(throws: Refusal.self) { _ = try await accepted(json, type: type, time: time) })
    }

    @Test func whatIsMissingComesFromTheEnvelope() async throws {
        let event = try await accepted(
            "{}", id: "e7", type: "Click ", subject: " camp-1", time: "2026-05-04T03:00:00+01:00")
        #expect(event.topic == "events.accepted")
        #expect(
            event.json
                == #"{"event_id":"e7","event_type":"click","campaign_id":"camp-1","timestamp":1777860000000}"#)
        #expect(event.headers.contains(Header("ce_time", "2026-05-04T02:00:00.000Z")))
        #expect(event.headers.contains(Header("ce_dataschema", "https://flotilla.dev/schemas/event.accepted/1")))
    }

    @Test func theKeyIsTheCampaignAsItIsCalledFromThereOn() async throws {
        #expect(try await accepted(#"{"campaign_id":" camp-1 "}"#, time: "2026-05-04T03:00:00Z").key == "camp-1")
        #expect(try await accepted("{}", subject: "camp-1\t", time: "2026-05-04T03:00:00Z").key == "camp-1")
        // Who names none keeps the sender's.
        let sent = try Event.sample(
            id: "e1", type: "click", time: "2026-05-04T03:00:00Z", key: "user-7", json: "{}", topic: "events.raw",
            headers: [Header("ce_recordedtime", "\(Timestamp(milliseconds: Self.now))")])
        #expect(try await ingest.outputs(of: sent).first?.key == "user-7")
    }

    @Test func aValueIsBroughtIntoOneFormAndKeepsWhatNobodyKnows() async throws {
        let event = try await accepted(
            #"{"event_type": " Order.Created", "timestamp": "2026-05-04T03:02:00.5Z", "value": 1.100, "odd": {"a": [1, 2e0]}, "user_id": "ü🚢"}"#
        )
        #expect(
            event.json
                == #"{"event_type":"order.created","value":1.100,"odd":{"a": [1, 2e0]},"user_id":"ü🚢","event_id":"e1","timestamp":1777863720500}"#
        )
        #expect(event.type == "click")
    }

    @Test(arguments: [
        ("[]", "object"), ("3", "object"), (#"{"timestamp": "yesterday"}"#, "/timestamp"),
        (#"{"timestamp": 1.5}"#, "/timestamp"),
        (#"{"timestamp": true}"#, "/timestamp"),
        (#"{"timestamp": 1777863721000, "event_type": "Bad Name"}"#, "/event_type"),
        (#"{"timestamp": 1777863721000, "event_type": ""}"#, "/event_type"),
        (#"{"timestamp": 1777863721000, "event_type": 7}"#, "/event_type"),
        (#"{"timestamp": 1777863721000, "value": 1e308}"#, "/value"),
        (#"{"timestamp": 1777863721000, "value": 1000000000000}"#, "/value"),
        (#"{"timestamp": 1777863721000, "value": 0.0000001}"#, "/value"),
        (#"{"timestamp": 1777863721000, "value": 9223372036854775808}"#, "/value"),
        (#"{"timestamp": 1777863721000, "value": "7"}"#, "/value"),
        (#"{"timestamp": 1777863721000, "campaign_id": "  "}"#, "/campaign_id"),
        (#"{"timestamp": 1777863721000, "campaign_id": "a\u0000"}"#, "/campaign_id"),
        (#"{"timestamp": 1777863721000, "dimensions": {"country": 1}}"#, "/dimensions/country"),
        (#"{"timestamp": 1777863721000, "dimensions": {"": "x"}}"#, "/dimensions"),
        (#"{"timestamp": 1777863721000, "data": []}"#, "/data"),
        (#"{"timestamp": 1777863721000, "value": 1, "value": 2}"#, "/value"),
        (#"{"value": 1}"#, "neither a timestamp"),
    ])
    func whatIsNoEventIsRefusedWithItsPlace(_ json: String, _ place: String) async throws {
        let refused = try await refusal(json)
        #expect(refused.reason.contains(place), "\(refused.reason)")
        #expect(refused == .schemaInvalid(refused.reason))
    }

    @Test func aThousandDimensionsAreTooMany() async throws {
        let many = (0..<1000).map { #""d\#($0)": "x""# }.joined(separator: ",")
        let refused = try await refusal(#"{"timestamp": 1777863721000, "dimensions": {\#(many)}}"#)
        #expect(refused.reason.contains("/dimensions"))
    }

    @Test func latenessIsJudgedByTheTimesThatItCarries() async throws {
        let day: Int64 = 86_400_000
        for (time, isIn) in [
            (Self.now, true), (Self.now - day, true), (Self.now - day - 1, false), (Self.now + 300_000, true),
            (Self.now + 300_001, false), (1_777_863_721, false), (0, false), (253_402_300_799_999, false),
        ] {
            do {
                _ = try await accepted("{\"timestamp\": \(time)}")
                #expect(isIn, "\(time)")
            } catch let refused as Refusal {
                #expect(!isIn, "\(time)")
                #expect(refused == .late(refused.reason))
            }
        }
        // Beyond what the schema allows it is no time at all.
        for time in ["-1", "\(Int64.min)", "\(Int64.max)"] {
            let refused = try await refusal("{\"timestamp\": \(time)}")
            #expect(refused == .schemaInvalid(refused.reason))
        }
    }

    /// Under the real worker, with the repository's own topic files.
    @Test func itsDeadLettersSayWhy() async throws {
        let bench = try HandlerBench(ingest, topics: Self.folder)
        let now = Timestamp(milliseconds: Self.now)
        let recorded = [Header("ce_recordedtime", "\(now)")]
        try bench.send(id: "1", json: "{\"timestamp\":\(Self.now)}", headers: recorded)
        try bench.send(id: "1", json: "{\"timestamp\":\(Self.now)}", headers: recorded)
        try bench.send(id: "2", json: "{\"timestamp\":5}", headers: recorded)
        try bench.send(id: "3", json: "{\"timestamp\":[]}", headers: recorded)
        try bench.send(id: "4", json: "{", headers: recorded)
        try bench.send(id: "5", json: String(repeating: "[", count: 10_000), headers: recorded)
        try await bench.run()
        #expect(bench.published(to: "events.accepted").map(\.id).count == 1)
        #expect(
            Dictionary(uniqueKeysWithValues: bench.deadLetters().map { ($0.id, $0.reason) }) == [
                "2": "late", "3": "schema-invalid", "4": "undecodable", "5": "undecodable",
            ])
    }
}
