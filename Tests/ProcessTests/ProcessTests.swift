import Contracts
import Flotilla
import FlotillaTesting
import JSON
import Model
import Platform
import Postgres
import Process
import TestServers
import TestSupport
import Testing

/// `process` on a real Postgres.
@Suite(.inTurns) struct ProcessTests {
    private static let noon: Int64 = 1_777_896_000_000

    private func withBench(
        _ settings: [String: String] = [:], _ body: (StateBench<Process>) async throws -> Void
    ) async throws {
        let bench = try await StateBench(
            Process(settings: settings), database: try PostgresServer.shared.get().database())
        try await body(bench)
        try await bench.close()
    }

    private func event(_ id: String, _ members: String, hour: Int64 = 0) throws -> Event {
        try .sample(
            id: id, json: "{\"event_id\":\"\(id)\",\"timestamp\":\(Self.noon + hour * 3_600_000),\(members)}",
            topic: "events.accepted")
    }

    @Test func eventsBecomePoints() async throws {
        try await withBench { bench in
            let points = try await bench.apply([
                event("1", #""event_type":"impression","campaign_id":"c","user_id":"u","dimensions":{"country":"de"}"#),
                event("2", #""event_type":"order.created","campaign_id":"c","value":12.50"#),
                event("3", #""event_type":"signup""#),
            ])
            let time = Self.noon
            #expect(
                points.map(\.json) == [
                    #"{"campaign_id":"c","metric":"impressions","timestamp":\#(time),"user_id":"u","dimensions":{"country":"de"}}"#,
                    #"{"campaign_id":"c","metric":"orders","timestamp":\#(time)}"#,
                    #"{"campaign_id":"c","metric":"revenue","timestamp":\#(time),"value":12.50}"#,
                    #"{"campaign_id":"none","metric":"signup","timestamp":\#(time)}"#,
                ])
            #expect(points.map(\.key) == ["c", "c", "c", "none"])
            #expect(Set(points.map(\.id)).count == 4)
            #expect(points.allSatisfy { $0.topic == "metrics.points" })
        }
    }

    @Test func commandsAndTimeChangeCampaigns() async throws {
        try await withBench { bench in
            let start = Self.noon + 3_600_000
            let changes = try await bench.apply([
                event(
                    "1",
                    #""event_type":"campaign.create","campaign_id":"c","data":{"name":"spring","budget":99.5,"goals":{"clicks":10}}"#
                ),
                event(
                    "2",
                    #""event_type":"campaign.schedule","campaign_id":"c","data":{"start":\#(start),"end":"2026-05-04T14:00:00Z"}"#
                ),
            ])
            #expect(
                changes.map(\.json) == [
                    #"{"campaign_id":"c","state":"draft","version":1,"changed_at":\#(Self.noon),"name":"spring","budget":99.5,"goals":{"clicks":10},"cause":"1"}"#,
                    #"{"campaign_id":"c","state":"scheduled","previous":"draft","version":2,"changed_at":\#(Self.noon),"name":"spring","budget":99.5,"start":\#(start),"end":1777903200000,"goals":{"clicks":10},"cause":"2"}"#,
                ])
            let place = TopicPartition("events.accepted", 0)
            var fired = try await bench.tick(Timestamp(milliseconds: start - 1), place)
            #expect(fired.isEmpty)
            fired = try await bench.tick(Timestamp(milliseconds: start), TopicPartition("events.accepted", 1))
            #expect(fired.isEmpty)
            fired = try await bench.tick(Timestamp(milliseconds: start), place)
            #expect(try fired.map { try JSONDocument(parsing: $0.json).root["state"]?.string } == ["active"])
            try await bench.apply([event("3", #""event_type":"campaign.pause","campaign_id":"c""#, hour: 1)])
            fired = try await bench.tick(Timestamp(milliseconds: 1_777_903_200_000), place)
            #expect(try fired.map { try JSONDocument(parsing: $0.json).root["state"]?.string } == ["completed"])
            let row = try await bench.query("SELECT state, version FROM campaigns")[0]
            #expect(try row.value("state") == "completed")
            #expect(try row.value("version") == 5)
            fired = try await bench.tick(Timestamp(milliseconds: 1_777_903_200_001), place)
            #expect(fired.isEmpty)
        }
    }

    @Test(arguments: [
        (#""event_type":"campaign.pause","campaign_id":"c""#, "not known"),
        (#""event_type":"campaign.destroy","campaign_id":"c""#, "is no command"),
        (#""event_type":"campaign.create""#, "names no campaign_id"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"budget":-1}"#, "/data/budget"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"budget":1e12}"#, "/data/budget"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"start":"soon"}"#, "/data/start"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"goals":[1]}"#, "/data/goals"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"start":9,"end":8}"#, "before it starts"),
        (#""event_type":"click","value":"1""#, "/value"),
        (#""event_type":"click","dimensions":{"a":1}"#, "/dimensions"),
        (#""event_type":"""#, "/event_type"), (#""event_type":"click","campaign_id":7"#, "/campaign_id"),
        (#""event_type":"click","data":"x""#, "/data"),
    ])
    func whatCannotBeIsRefused(_ members: String, _ reason: String) async throws {
        try await withBench { bench in
            let refused = await #expect(throws: Refusal.self) { try await bench.apply([event("1", members)]) }
            #expect(refused?.reason.contains(reason) == true, "\(refused?.reason ?? "")")
            let rows = try await bench.query("SELECT 1 AS one FROM campaigns")
            #expect(rows.isEmpty)
        }
    }

    @Test func unknownCampaignsCountUnlessTheTopicFileSaysOtherwise() async throws {
        let click = try event("1", #""event_type":"click","campaign_id":"new""#)
        try await withBench { bench in
            let points = try await bench.apply([click])
            #expect(points.count == 1)
        }
        try await withBench(["unknownCampaign": "deadletter"]) { bench in
            await #expect(throws: Refusal.permanent("there is no campaign new")) { try await bench.apply([click]) }
            // Created in the same batch, it is known.
            let create = try event("0", #""event_type":"campaign.create","campaign_id":"new""#)
            var outputs = try await bench.apply([create, click])
            #expect(outputs.count == 2)
            outputs = try await bench.apply([click])
            #expect(outputs.count == 1)
        }
        #expect(throws: SettingFault.self) { try Process(settings: ["unknownCampaign": "maybe"]) }
        #expect(throws: SettingFault.self) { try Process(settings: ["unknwonCampaign": "accept"]) }
    }
}
