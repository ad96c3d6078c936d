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

    /// Random points in random batches, some of them refused: every window holds what a plain count of them says.
    @Test(arguments: TestDice.seeds(3)) func everyWindowHoldsWhatAPlainCountSays(_ seed: UInt64) async throws {
        struct Plain {
            var count: Int64 = 0
            var micros: Int64 = 0
            var users: Set<String> = []
        }
        var dice = TestDice(seed: seed)
        var plain: [String: Plain] = [:]
        try await withBench(["dimensions": "country, device", "values": "3"]) { bench in
            var seen: [String: [String]] = [:]
            for _ in 0..<12 {
                var events: [Event] = []
                for _ in 0..<Int.random(in: 1...60, using: &dice) {
                    let time = Self.noon + Int64.random(in: -90_000_000...90_000_000, using: &dice)
                    let campaign = ["a", "b", "ü🚢"].randomElement(using: &dice) ?? ""
                    let micros = Int64.random(in: -5_000_000...5_000_000, using: &dice)
                    let user = "u\(Int.random(in: 0..<40, using: &dice))"
                    let country = "c\(Int.random(in: 0..<5, using: &dice))"
                    var writer = JSONWriter()
                    writer.object { json in
                        json.member("campaign_id", campaign)
                        json.member("metric", "m")
                        json.member("timestamp", time)
                        json.name("value")
                        json.append(micros, fractionDigits: 6)
                        json.member("user_id", user)
                        json.object("dimensions") { $0.member("country", country) }
                    }
                    events.append(try .sample(json: writer.text, topic: "metrics.points"))
                    var known = seen[campaign] ?? []
                    if !known.contains(country), known.count < 3 { known.append(country) }
                    seen[campaign] = known
                    let shown = known.contains(country) ? country : "other"
                    for (step, length) in [("1m", Int64(60_000)), ("1h", 3_600_000), ("1d", 86_400_000)] {
                        let start = time / length * length
                        for part in ["", "country=\(shown)"] {
                            var window = plain["\(campaign) \(step) \(start) \(part)"] ?? Plain()
                            window.count += 1
                            window.micros += micros
                            window.users.insert(user)
                            plain["\(campaign) \(step) \(start) \(part)"] = window
                        }
                    }
                }
                try await bench.apply(events, now: at(Self.noon))
            }
            let rows = try await bench.query(
                """
                SELECT campaign || ' ' || step || ' ' || (extract(epoch FROM window_start) * 1000)::bigint || ' '
                    || dimension || CASE WHEN dimension = '' THEN '' ELSE '=' || value END AS name,
                    count, sum_micros::bigint AS micros, uniques FROM windows
                """)
            #expect(rows.count == plain.count)
            for row in rows {
                let name: String = try row.value("name")
                let expected = try #require(plain[name], "seed \(seed): \(name)")
                #expect(try row.value("count") == expected.count, "seed \(seed): \(name)")
                #expect(try row.value("micros") == expected.micros, "seed \(seed): \(name)")
                #expect(try row.value("uniques") == expected.users.count, "seed \(seed): \(name)")
            }
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
