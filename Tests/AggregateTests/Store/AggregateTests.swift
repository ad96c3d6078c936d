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

    /// A partition that stood still, or whose records wait, is not idle: the clock closes nothing there, and the whole
    /// while is given again when it goes on.
    @Test func aPartitionThatWasNotReadIsNotIdle() async throws {
        try await withBench(["lateness": "1s", "idleAfter": "5s"]) { bench in
            try await bench.apply([point("")], now: at(Self.noon))
            var told = try await bench.tick(at(Self.noon + 600_000), place, quietSince: nil)
            #expect(told.isEmpty)
            // It has been read again for less than five seconds.
            let back = Self.noon + 600_500
            told = try await bench.tick(at(back + 4_999), place, quietSince: at(back))
            #expect(told.isEmpty)
            // What waited comes in time, although it is ten minutes old.
            try await bench.apply([point("", at: Self.noon + 1000)], now: at(back + 4_999))
            told = try await bench.tick(at(back + 8_000), place, quietSince: at(back))
            #expect(told.isEmpty)
            told = try await bench.tick(at(back + 10_000), place, quietSince: at(back))
            #expect(try told.map { try JSONDocument(parsing: $0.json).root["count"]?.int64 } == [2])
        }
    }

    /// Points that keep coming leave something unwritten at every tick: windows that have ended are told all the same.
    @Test func windowsAreToldWhilePointsKeepComing() async throws {
        try await withBench(["lateness": "1s", "idleAfter": "5s", "writeEvery": "10s"]) { bench in
            var told: [Int64: Int] = [:]
            for second in Int64(0)..<150 {
                for part in [Int64(0), 500] {
                    let time = Self.noon + second * 1000 + part
                    try await bench.apply([point("", at: time)], now: at(time))
                }
                let found = try await bench.tick(at(Self.noon + second * 1000 + 900), place, quietSince: nil)
                if !found.isEmpty { told[second] = found.count }
            }
            // Of two minutes that ended, each within twice the time between writes. The first is told once.
            #expect(told.values.reduce(0, +) == 2, "\(told)")
            #expect(told.keys.sorted().first.map { $0 < 61 + 21 } == true, "\(told)")
        }
    }

    @Test func manyWindowsThatEndTogetherAreToldTogether() async throws {
        try await withBench(["lateness": "0s", "idleAfter": "0s", "writeEvery": "0s"]) { bench in
            for piece in 0..<5 {
                try await bench.apply(
                    (0..<500).map { number in
                        try .sample(
                            json: #"{"campaign_id":"\#(piece)/\#(number)","metric":"m","timestamp":\#(Self.noon)}"#,
                            topic: "metrics.points")
                    }, now: at(Self.noon))
            }
            let told = try await bench.tick(at(Self.noon + 60_000), place)
            #expect(told.count == 2500)
            #expect(Set(told.map(\.id)).count == 2500)
        }
    }

    /// What another build has written, or a disk has spoiled, is no fault of the points: they wait.
    @Test(arguments: ["unique_sketch", "quantile_sketch", "guard", "body"])
    func whatCannotBeReadKeepsPointsWaiting(_ column: String) async throws {
        let settings = ["dimensions": "country", "writeEvery": "10s"]
        let site = try await AggregateSite()
        defer { site.close() }
        let first = try Aggregate(settings: settings)
        for country in ["de", "fr"] {
            try await site.apply(first, [site.point("c", at: Self.noon, dimensions: [("country", country, country)])])
        }
        let table = ["guard": "dimension_guards", "body": "journal"][column] ?? "windows"
        _ = try await site.query("UPDATE \(identifier: table) SET \(identifier: column) = '\\x09ff'::bytea")
        let fault = await #expect(throws: PostgresFault.self) {
            try await site.apply(
                try Aggregate(settings: ["dimensions": "country", "writeEvery": "0s"]),
                [site.point("c", at: Self.noon, dimensions: [("country", "at", "at")])])
        }
        #expect(fault?.kind == .statement)
        #expect(fault?.reason.contains("stored") == true, "\(fault?.reason ?? "")")
    }

    /// Names that Swift takes for equal and Postgres does not are names of their own, in whatever is remembered too.
    @Test func twoWaysToWriteAnAccentAreTwoNames() async throws {
        try await withBench(["dimensions": "country", "values": "1", "writeEvery": "10s"]) { bench in
            let spellings = ["caf\u{e9}", "cafe\u{301}"]
            #expect(spellings[0] == spellings[1])
            for _ in 0..<2 {
                try await bench.apply(
                    spellings.flatMap { name in
                        try [("c", name, "x"), (name, "m", "x"), ("d", "m", name)].map { campaign, metric, country in
                            try .sample(
                                json:
                                    #"{"campaign_id":"\#(campaign)","metric":"\#(metric)","timestamp":\#(Self.noon),"dimensions":{"country":"\#(country)"}}"#,
                                topic: "metrics.points")
                        }
                    }, now: at(Self.noon))
            }
            try await bench.tick(at(Self.noon + 20_000), place)
            let rows = try await bench.query(
                """
                SELECT campaign, metric, value, count FROM windows WHERE step = '1d' AND dimension <> ''
                ORDER BY octet_length(campaign), octet_length(metric), campaign, metric, value
                """)
            let found = try rows.map { row in
                try Array([row.value("campaign"), row.value("metric"), row.value("value")].joined(separator: "/").utf8)
            }
            let expected = [
                // The first spelling took the one place that there is.
                "d/m/\(spellings[0])", "d/m/other", "c/\(spellings[0])/x", "c/\(spellings[1])/x", "\(spellings[0])/m/x",
                "\(spellings[1])/m/x",
            ]
            #expect(Set(found) == Set(expected.map { Array($0.utf8) }))
            #expect(rows.count == 6)
            #expect(try rows.allSatisfy { try $0.value("count") == 2 })
        }
    }

    /// What clients send when nobody looks: counted as it is, or refused with the place that is wrong.
    @Test func oddPointsAreCountedAsTheyAre() async throws {
        try await withBench(["dimensions": "country", "writeEvery": "0s"]) { bench in
            let many = (0..<1000).map { #""d\#($0)":"v""# }.joined(separator: ",")
            let odd: [(members: String, time: Int64)] = [
                (#""value":-999999999999.999999"#, Self.noon),
                (#""value":999999999999.999999"#, Self.noon),
                (#""value":-0.000001"#, Self.noon),
                (#""value":1e3,"user_id":"👩‍🚀""#, Self.noon),
                (#""user_id":"مرحبا","dimensions":{"country":"‏ישראל"}"#, Self.noon),
                (#""dimensions":{"country":""}"#, Self.noon),
                (#""dimensions":{"country":"a\u0000b"}"#, Self.noon),
                (#""dimensions":{\#(many),"country":"de"}"#, Self.noon),
                // Seconds where milliseconds are meant, the first moment and the last.
                ("", Self.noon / 1000), ("", 0), ("", 253_402_300_799_999),
            ]
            try await bench.apply(try odd.map { try point($0.members, at: $0.time) }, now: at(Self.noon))
            let day = try await bench.query(
                """
                SELECT count, sum_micros::text AS sum, uniques FROM windows
                WHERE step = '1d' AND dimension = '' AND window_start = '2026-05-04'
                """)[0]
            #expect(try day.value("count") == 8)
            #expect(try day.value("sum") == "\(1_000_000_000 - 1)")
            #expect(try day.value("uniques") == 2)
            let starts = try await bench.query(
                "SELECT window_start, count FROM windows WHERE step = '1d' AND dimension = '' ORDER BY window_start")
            #expect(
                try starts.map { try $0.value("window_start", as: String.self) } == [
                    "1970-01-01 00:00:00+00", "1970-01-21 00:00:00+00", "2026-05-04 00:00:00+00",
                    "9999-12-31 00:00:00+00",
                ])
            let values = try await bench.query(
                "SELECT value FROM windows WHERE step = '1d' AND dimension = 'country' ORDER BY value")
            #expect(
                try Set(values.map { try $0.value("value", as: String.self) }) == ["", "de", "other", "\u{200f}ישראל"])
            // Nothing of it keeps windows from being told.
            let told = try await bench.tick(at(Self.noon + 600_000), place)
            #expect(told.count > 10)
        }
    }

    @Test(arguments: [
        (#"{"metric":"m","timestamp":1}"#, "/campaign_id"), (#"{"campaign_id":"c","timestamp":1}"#, "/metric"),
        (#"{"campaign_id":"c","metric":"m"}"#, "/timestamp"),
        (#"{"campaign_id":"c","metric":"m","timestamp":-1}"#, "/timestamp"),
        (#"{"campaign_id":"c","metric":"m","timestamp":253402300800000}"#, "/timestamp"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":1e12}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":"1"}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":1e308}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":9223372036854775808}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"value":0.0000001}"#, "/value"),
        (#"{"campaign_id":"c","metric":"m","timestamp":9223372036854775808}"#, "/timestamp"),
        (#"{"campaign_id":"","metric":"m","timestamp":1}"#, "/campaign_id"),
        (#"{"campaign_id":"c","metric":"a\u0000b","timestamp":1}"#, "/metric"),
        (#"{"campaign_id":"c","metric":"m","timestamp":1,"user_id":""}"#, "/user_id"),
        (#"[]"#, "must be an object"), (#"7"#, "must be an object"), (#"null"#, "must be an object"),
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
        for settings in [
            ["values": "0"], ["lateness": "soon"], ["dimension": "a"], ["dimensions": "a,a"], ["writeEvery": "1h"],
            ["keepMinutes": "1h"], ["keepDays": "ever"],
        ] {
            #expect(throws: SettingFault.self) { try Aggregate(settings: settings) }
        }
    }
}
