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
        (#""event_type":"click","value":"1""#, "/value"), (#""event_type":"click","value":1e308"#, "/value"),
        (#""event_type":"click","value":1e12"#, "/value"), (#""event_type":"click","value":-1e12"#, "/value"),
        (#""event_type":"click","value":9223372036854775808"#, "/value"),
        (#""event_type":"click","campaign_id":"""#, "/campaign_id"),
        (#""event_type":"click","campaign_id":"a\u0000""#, "/campaign_id"),
        (#""event_type":"click","user_id":"""#, "/user_id"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"budget":9223372036854775808}"#, "/data/budget"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"start":253402300800000}"#, "/data/start"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"end":"9999-12-31T23:59:59-23:59"}"#, "/data/end"),
        (#""event_type":"campaign.create","campaign_id":"c","data":{"goals":{"":1}}"#, "/data/goals"),
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

    /// Names that Swift takes for equal and Postgres does not are campaigns, and goals, of their own.
    @Test func twoWaysToWriteAnAccentAreTwoCampaigns() async throws {
        try await withBench(["unknownCampaign": "deadletter"]) { bench in
            let spellings = ["caf\u{e9}", "cafe\u{301}"]
            let goals = spellings.map { #""\#($0)":1"# }.joined(separator: ",")
            let changes = try await bench.apply(
                spellings.enumerated().map { number, name in
                    try event(
                        "\(number)",
                        #""event_type":"campaign.create","campaign_id":"\#(name)","data":{"goals":{\#(goals)}}"#)
                })
            #expect(changes.count == 2)
            let rows = try await bench.query(
                """
                SELECT octet_length(id) AS bytes, (SELECT count(*) FROM jsonb_object_keys(goals)) AS goals FROM campaigns
                ORDER BY 1
                """)
            #expect(try rows.map { try $0.value("bytes", as: Int.self) } == [5, 6])
            #expect(try rows.allSatisfy { try $0.value("goals") == 2 })
            let pauses = try event(
                "9", #""event_type":"campaign.activate","campaign_id":"\#(spellings[1])","data":{"budget":1}"#)
            try await bench.apply([pauses])
            let states = try await bench.query("SELECT state FROM campaigns ORDER BY octet_length(id)")
            #expect(try states.map { try $0.value("state", as: String.self) } == ["draft", "active"])
        }
    }

    /// What clients send when nobody looks becomes points as it is.
    @Test func oddEventsBecomePointsAsTheyAre() async throws {
        try await withBench { bench in
            let many = (0..<1000).map { #""d\#($0)":"""# }.joined(separator: ",")
            let points = try await bench.apply([
                event("1", #""event_type":"click","value":-999999999999.999999"#),
                event("2", #""event_type":"🚀","campaign_id":"‏حملة","user_id":"👩‍🚀""#),
                event("3", #""event_type":"click","dimensions":{\#(many)}"#),
                .sample(id: "4", json: #"{"event_type":"click","timestamp":0}"#, topic: "events.accepted"),
                .sample(
                    id: "5", json: #"{"event_type":"click","timestamp":253402300799999}"#, topic: "events.accepted"),
                .sample(
                    id: "6", json: #"{"event_type":"click","timestamp":\#(Self.noon / 1000)}"#, topic: "events.accepted"
                ),
            ])
            let found = try points.map { try JSONDocument(parsing: $0.json).root }
            #expect(found.count == 6)
            #expect(found[0]["value"]?.numberText == "-999999999999.999999")
            #expect(found[1]["metric"]?.string == "🚀" && found[1]["campaign_id"]?.string == "‏حملة")
            #expect(found[2]["dimensions"]?.count == 1000)
            #expect(found[3...].map { $0["timestamp"]?.int64 } == [0, 253_402_300_799_999, Self.noon / 1000])
        }
    }

    /// A row that no reader takes stops nobody else's time.
    @Test func aCampaignThatCannotBeReadIsSetAside() async throws {
        try await withBench { bench in
            for id in ["a", "b", "c"] {
                try await bench.apply([
                    event(id, #""event_type":"campaign.create","campaign_id":"\#(id)","data":{"budget":1}"#),
                    event(
                        "\(id)2",
                        #""event_type":"campaign.schedule","campaign_id":"\#(id)","data":{"start":\#(Self.noon + 1000)}"#
                    ),
                ])
            }
            try await bench.query("UPDATE campaigns SET ends_at = '10000-01-01T00:00:00Z' WHERE id = 'a'")
            let place = TopicPartition("events.accepted", 0)
            var fired = try await bench.tick(Timestamp(milliseconds: Self.noon + 1000), place)
            #expect(fired.map(\.key) == ["b", "c"])
            fired = try await bench.tick(Timestamp(milliseconds: Self.noon + 2000), place)
            #expect(fired.isEmpty)
            // More of them than are looked at in one go.
            try await bench.query(
                """
                INSERT INTO campaigns SELECT 'a' || n, partition, name, state, budget_micros, starts_at, ends_at, goals, version,
                    changed_at FROM campaigns, generate_series(1, 1200) AS k (n) WHERE id = 'a'
                """)
            try await bench.apply([
                event("z", #""event_type":"campaign.create","campaign_id":"z","data":{"budget":1}"#),
                event(
                    "z2", #""event_type":"campaign.schedule","campaign_id":"z","data":{"start":\#(Self.noon + 3000)}"#),
            ])
            fired = try await bench.tick(Timestamp(milliseconds: Self.noon + 3000), place)
            #expect(fired.map(\.key) == ["z"])
            // Mended, it goes on.
            try await bench.query("UPDATE campaigns SET ends_at = NULL WHERE id = 'a'")
            fired = try await bench.tick(Timestamp(milliseconds: Self.noon + 4000), place)
            #expect(fired.map(\.key) == ["a"])
        }
    }

    /// Commands in another order than they were meant: each is refused or followed by the rules, and the rest goes on.
    @Test func commandsOutOfOrderAreRefusedOneByOne() async throws {
        try await withBench { bench in
            func command(_ verb: String, _ data: String = "{}") throws -> Event {
                try event(verb, #""event_type":"campaign.\#(verb)","campaign_id":"c","data":\#(data)"#)
            }
            func refused(_ verb: String, _ data: String = "{}") async throws -> String {
                let event = try command(verb, data)
                let refusal = await #expect(throws: Refusal.self) { try await bench.apply([event]) }
                return refusal?.reason ?? ""
            }
            #expect(try await refused("activate").contains("is not known"))
            #expect(try await refused("complete").contains("is not known"))
            try await bench.apply([command("create")])
            #expect(try await refused("create").contains("is there already"))
            #expect(try await refused("pause").contains("it is draft"))
            #expect(try await refused("schedule", #"{"start":0}"#).contains("without a budget"))
            try await bench.apply([command("activate", #"{"budget":1}"#), command("pause"), command("complete")])
            #expect(try await refused("activate").contains("it is completed"))
            #expect(try await refused("schedule").contains("it is completed"))
            let row = try await bench.query("SELECT state, version FROM campaigns")[0]
            #expect(try row.value("state", as: String.self) == "completed")
            #expect(try row.value("version") == 4)
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
