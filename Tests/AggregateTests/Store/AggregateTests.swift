import Aggregate
import Flotilla
import FlotillaTesting
import JSON
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

/// `aggregate` on a real Postgres, against a plain count of the same points.
@Suite(.inTurns) struct AggregateTests {
    private static let noon: Int64 = 1_777_896_000_000

    private func withBench(
        _ settings: [String: String] = [:], _ body: (StateBench<Aggregate>) async throws -> Void
    ) async throws {
        let bench = try await StateBench(
            Aggregate(settings: settings), database: try PostgresServer.shared.get().database())
        try await body(bench)
        try await bench.close()
    }

    private func point(_ members: String, at time: Int64 = noon, topic: TopicName = "metrics.points") throws -> Event {
        try .sample(
            json:
                #"{"campaign_id":"c","metric":"clicks","timestamp":\#(time)\#(members.isEmpty ? "" : ",")\#(members)}"#,
            topic: topic)
    }

    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }
    private let place = TopicPartition("metrics.points", 0)

    @Test func windowsAreToldWhenTheyHaveEndedAndAgainWhenTheyAreAmended() async throws {
        try await withBench { bench in
            let minute: Int64 = 60_000
            try await bench.apply(
                [point(#""value":1.5,"user_id":"a""#), point(#""value":2.5,"user_id":"b""#), point(#""user_id":"a""#)],
                now: at(Self.noon + 1))
            var told = try await bench.tick(at(Self.noon + 1000), place)
            #expect(told.isEmpty)
            // A point of the next minute, and more: the first has ended.
            try await bench.apply([point("", at: Self.noon + minute + 10_000)], now: at(Self.noon + minute + 10_000))
            told = try await bench.tick(at(Self.noon + minute + 10_001), place)
            #expect(told.count == 1)
            let beginning =
                #"{"campaign_id":"c","metric":"clicks","window_start":"2026-05-04T12:00:00.000Z","step":"1m","dimensions":{},"count":3,"sum":4,"uniques":2,"#
            #expect(told.first?.json.hasPrefix(beginning) == true)
            #expect(told.first?.key == "c")
            let first = try JSONDocument(parsing: try #require(told.first).json).root
            #expect((first["count"]?.int64, first["uniques"]?.int64, first["revision"]?.int64) == (3, 2, 1))
            #expect(first["sum"]?.numberText == "4")
            #expect(first["step"]?.string == "1m")
            let again = try await bench.tick(at(Self.noon + minute + 10_002), place)
            #expect(again.isEmpty)
            // What comes late amends.
            try await bench.apply([point(#""value":1"#)], now: at(Self.noon + minute + 11_000))
            told = try await bench.tick(at(Self.noon + minute + 11_001), place)
            let second = try JSONDocument(parsing: try #require(told.first).json).root
            #expect((second["count"]?.int64, second["revision"]?.int64) == (4, 2))
            #expect(second["sum"]?.numberText == "5")
            #expect(Set(told.map(\.id)).count == told.count)
        }
    }

    @Test func aPartitionThatBringsNothingFollowsTheClock() async throws {
        try await withBench(["lateness": "1s", "idleAfter": "5s"]) { bench in
            try await bench.apply([point("")], now: at(Self.noon))
            var told = try await bench.tick(at(Self.noon + 4_999), place)
            #expect(told.isEmpty)
            told = try await bench.tick(at(Self.noon + 61_000), place)
            #expect(told.count == 1)
            // A replay moves no watermark, and is counted.
            try await bench.apply(
                [point("", at: Self.noon + 7_200_000, topic: "metrics.points.aggregate.replay")],
                now: at(Self.noon + 61_001))
            told = try await bench.tick(at(Self.noon + 61_002), place)
            #expect(told.isEmpty)
            let row = try await bench.query("SELECT sum(count)::bigint AS n FROM windows WHERE step = '1d'")[0]
            #expect(try row.value("n") == 2)
        }
    }

    @Test(arguments: [
        (#"{"metric":"m","timestamp":1}"#, "/campaign_id"), (#"{"campaign_id":"c","timestamp":1}"#, "/metric"),
        (#"{"campaign_id":"c","metric":"m"}"#, "/timestamp"),
        (#"{"campaign_id":"c","metric":"m","timestamp":-1}"#, "/timestamp"),
        (#"{"campaign_id":"c","metric":"m","timestamp":253402300800000}"#, "/timestamp"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":1e12}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":"1"}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"user_id":7}"#, "/user_id"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"dimensions":[]}"#, "/dimensions"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"dimensions":{"country":1}}"#, "/dimensions/country"),
    ])
    func whatIsNoPointIsRefused(_ json: String, _ place: String) async throws {
        try await withBench(["dimensions": "country"]) { bench in
            let refused = await #expect(throws: Refusal.self) { try await bench.apply([.sample(json: json)]) }
            #expect(refused?.reason.contains(place) == true, "\(refused?.reason ?? "")")
        }
    }

    @Test func settingsSayWhatTheyTake() {
        for settings in [["values": "0"], ["lateness": "soon"], ["dimension": "a"]] {
            #expect(throws: SettingFault.self) { try Aggregate(settings: settings) }
        }
    }
}
