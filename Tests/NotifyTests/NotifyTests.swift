import Contracts
import Flotilla
import FlotillaTesting
import JSON
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

@testable import Notify

/// `notify` on a real Postgres: what comes in, and what is written down.
@Suite(.inTurns) struct NotifyTests {
    private static let noon: Int64 = 1_777_896_000_000
    private static let channels = """
        channels:
          - {name: ops, webhook: "https://hooks.example.com/x"}
          - {name: desk, mail: [a@example.com, b@example.com], from: fleet@example.com}

        """

    private func withBench(
        _ rules: String, _ body: (StateBench<Notify>) async throws -> Void
    ) async throws {
        let read = try RulesReader.read(Array((Self.channels + "rules:\n  - \(rules)\n").utf8), file: "rules.yaml")
        let bench = try await StateBench(Notify(read), database: try PostgresServer.shared.get().database())
        try await body(bench)
        try await bench.close()
    }

    private func at(_ minute: Int64) -> Timestamp { Timestamp(milliseconds: Self.noon + minute * 60_000) }
    private let place = TopicPartition("metrics.windows", 0)

    private func window(
        _ minute: Int64, count: Int, revision: Int = 1, campaign: String = "c", country: String? = nil
    ) throws -> Event {
        let dimensions = country.map { "{\"country\":\"\($0)\"}" } ?? "{}"
        return try .sample(
            json: """
                {"campaign_id":"\(campaign)","metric":"clicks","window_start":"\(at(minute))","step":"1m","dimensions":\(dimensions),\
                "count":\(count),"sum":0,"uniques":0,"p50":null,"p95":null,"p99":null,"revision":\(revision)}
                """, topic: "metrics.windows")
    }

    private func order(_ id: String, value: Double, campaign: String? = "c", minute: Int64 = 0) throws -> Event {
        let member = campaign.map { ",\"campaign_id\":\"\($0)\"" } ?? ""
        return try .sample(
            id: id,
            json:
                "{\"event_id\":\"\(id)\",\"event_type\":\"order.created\",\"timestamp\":\(at(minute).milliseconds),\"value\":\(value),\"user_id\":\"ada\"\(member)}",
            topic: "events.accepted")
    }

    private func deliveries(_ bench: StateBench<Notify>) async throws -> [String] {
        try await bench.query(
            "SELECT kind || ' ' || channel || ' ' || recipient || ': ' || subject AS t FROM deliveries ORDER BY made_at, t"
        )
        .map { try $0.value("t") }
    }

    @Test func anAlarmIsWrittenDownForEachChannelAndRecipientOnce() async throws {
        let rule = """
            {name: clicks, window: {metric: clicks, step: 1m, above: 10, until: 5, for: 2m}, channels: [ops, desk], template: "{{ value }} of {{ campaign_id }}"}
            """
        try await withBench(rule) { bench in
            try await bench.apply([window(0, count: 11)], now: at(1))
            #expect(try await deliveries(bench).isEmpty)
            try await bench.apply([window(1, count: 12), window(1, count: 13, revision: 2)], now: at(2))
            let fired = [
                "firing desk a@example.com: clicks firing: c", "firing desk b@example.com: clicks firing: c",
                "firing ops : clicks firing: c",
            ]
            #expect(try await deliveries(bench) == fired)
            // What is delivered again after a crash changes nothing.
            try await bench.apply([window(1, count: 13, revision: 2)], now: at(2))
            #expect(try await deliveries(bench) == fired)
            let body = try await bench.query("SELECT body, id::text AS id FROM deliveries WHERE channel = 'ops'")[0]
            let json = try JSONDocument(parsing: try body.value("body", as: String.self)).root
            #expect(json["type"]?.string == "notification.firing")
            #expect(json["data"]?["id"]?.string == (try body.value("id")))
            #expect(json["data"]?["text"]?.string == "12 of c")
            #expect(json["data"]?["since"]?.string == at(0).description)
            #expect(json["data"]?["window"]?["count"]?.int64 == 12)
            try await bench.apply([window(2, count: 5)], now: at(3))
            #expect(try await deliveries(bench).count == 6)
        }
    }

    @Test func dimensionsAndCampaignsHaveAlarmsOfTheirOwn() async throws {
        let rule =
            "{name: r, window: {metric: clicks, step: 1m, above: 10, by: country}, channels: [ops], template: x, subject: \"{{ campaign_id }} {{ dimensions.country }}\"}"
        try await withBench(rule) { bench in
            try await bench.apply(
                [
                    window(0, count: 99), window(0, count: 11, country: "de"), window(0, count: 9, country: "fr"),
                    window(0, count: 11, campaign: "d", country: "ü🚢\\\\"),
                ], now: at(1))
            #expect(try await deliveries(bench) == ["firing ops : c de", "firing ops : d ü🚢\\"])
        }
    }

    @Test func silenceEndsAnAlarmAndBeginsOne() async throws {
        let rule =
            "{name: r, window: {metric: clicks, step: 1m, below: 1, for: 3m}, channels: [ops], template: x, subject: \"{{ alarm }} {{ value }}\"}"
        try await withBench(rule) { bench in
            try await bench.apply([window(0, count: 4)], now: at(1))
            // Windows count as empty two minutes after their end: the first, which ends at 2, from 4 on.
            for minute in 2...5 { try await bench.tick(at(Int64(minute)), place) }
            #expect(try await deliveries(bench).isEmpty)
            try await bench.tick(at(6), TopicPartition("metrics.windows", 1))
            try await bench.tick(at(6), TopicPartition("campaigns.changed", 0))
            #expect(try await deliveries(bench).isEmpty)
            try await bench.tick(at(6), place)
            #expect(try await deliveries(bench) == ["firing ops : firing 0"])
            try await bench.apply([window(7, count: 1)], now: at(8))
            #expect(try await deliveries(bench) == ["firing ops : firing 0", "resolved ops : resolved 1"])
        }
    }

    /// A worker that was away has not heard of windows that were told: until it has read them, none of them is missing.
    @Test func whatIsNotReadYetIsNoSilence() async throws {
        let rule =
            "{name: r, window: {metric: clicks, step: 1m, above: 10}, channels: [ops], template: x, subject: \"{{ alarm }} {{ value }}\"}"
        try await withBench(rule) { bench in
            try await bench.apply([window(0, count: 11)], now: at(1))
            for read in [nil, at(1), Timestamp(milliseconds: at(4).milliseconds - 1)] {
                try await bench.tick(at(30), place, readThrough: read)
                #expect(try await deliveries(bench) == ["firing ops : firing 11"])
            }
            try await bench.apply((1...28).map { try window($0, count: 12) }, now: at(30))
            try await bench.tick(at(30), place, readThrough: at(29))
            #expect(try await deliveries(bench) == ["firing ops : firing 11"])
            // The 29th ended at 30, and would have been told by 32.
            try await bench.tick(at(40), place, readThrough: at(32))
            #expect(try await deliveries(bench) == ["firing ops : firing 11", "resolved ops : resolved 0"])
        }
    }

    /// Two ways of writing é are two campaigns, as they are in the tables.
    @Test func namesAreToldApartByTheirBytes() async throws {
        let rules = [
            "{name: r, window: {metric: clicks, step: 1m, above: 10}, channels: [ops], template: x, subject: \"{{ value }}\"}",
            "{name: one, window: {metric: clicks, step: 1m, above: 10, campaign: \"caf\u{e9}\"}, channels: [ops], template: x, subject: \"one {{ value }}\"}",
        ]
        try await withBench(rules.joined(separator: "\n  - ")) { bench in
            let spellings = ["caf\u{e9}", "cafe\u{301}"]
            #expect(spellings[0] == spellings[1])
            try await bench.apply(
                [window(0, count: 11, campaign: spellings[1]), window(0, count: 12, campaign: spellings[0])],
                now: at(1))
            #expect(try await deliveries(bench) == ["firing ops : 11", "firing ops : 12", "firing ops : one 12"])
            #expect(try await bench.query("SELECT 1 AS one FROM alarms").count == 3)
        }
    }

    /// The longest names that are taken have room in the key of an alarm.
    @Test func whatNoKeyCanHoldIsRefused() async throws {
        let name = String(repeating: "r", count: 64)
        let rule =
            "{name: \(name), window: {metric: clicks, step: 1m, above: 10, by: country}, channels: [ops], template: x}"
        // What no compression makes shorter.
        var dice = TestDice(seed: 7)
        let noise = String(
            (0..<1024).map { _ in "0123456789abcdefghijklmnopqrstuvwxyz".randomElement(using: &dice) ?? "x" })
        try await withBench(rule) { bench in
            try await bench.apply([window(0, count: 11, campaign: noise, country: noise)], now: at(1))
            #expect(try await deliveries(bench).count == 1)
            for value in [noise + "x", "a\\u0000b"] {
                let refused = await #expect(throws: Refusal.self) {
                    try await bench.apply([window(0, count: 11, country: value)], now: at(1))
                }
                #expect(refused?.reason.hasPrefix("/dimensions") == true)
            }
        }
    }

    /// Many events for many people: some at a time, and all of them.
    @Test func manyDeliveriesAreWrittenInPieces() async throws {
        let people = (0..<50).map { "p\($0)@example.com" }.joined(separator: ", ")
        let rules = try RulesReader.read(
            Array(
                """
                channels: [{name: all, mail: [\(people)], from: fleet@example.com}]
                rules:
                  - {name: r, event: {type: order.created}, channels: [all], template: "{{ data.text }}", coolDown: 0s}
                """.utf8), file: "rules.yaml")
        let bench = try await StateBench(Notify(rules), database: try PostgresServer.shared.get().database())
        try await bench.query("CREATE TABLE pieces (count bigint, bytes bigint)")
        try await bench.query(
            """
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO pieces SELECT count(*), sum(length(body)) FROM fresh; RETURN NULL; END'
            """)
        try await bench.query(
            """
            CREATE TRIGGER note AFTER INSERT ON deliveries REFERENCING NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION note()
            """)
        let text = String(repeating: "x", count: 16_000)
        try await bench.apply(
            (0..<30).map { number in
                let data = number < 10 ? text : "short"
                return try .sample(
                    id: "\(number)",
                    json:
                        #"{"event_id":"\#(number)","event_type":"order.created","timestamp":\#(Self.noon),"data":{"text":"\#(data)"}}"#,
                    topic: "events.accepted")
            }, now: at(0))
        let row = try await bench.query(
            "SELECT sum(count)::bigint AS n, max(count) AS most, max(bytes)::bigint AS bytes FROM pieces")[0]
        #expect(try row.value("n") == 1500)
        #expect(try row.value("most", as: Int.self) <= 1000)
        #expect(try row.value("bytes", as: Int.self) <= 4 << 20)
        try await bench.close()
    }

    /// Alarms of names that a stranger chose go as fast as they can come.
    @Test func whatIsForgottenIsForgottenWithoutAPause() async throws {
        try await withBench("{name: r, event: {type: a}, channels: [ops], template: x}") { bench in
            try await bench.query(
                """
                INSERT INTO alarms (rule, campaign, value, digest, phase, state, partition, heard_at)
                SELECT 'r', n::text, '', '', 'calm', '{}', 0, '2026-05-04' FROM generate_series(1, 12000) AS k (n)
                """)
            let begin = Timestamp(milliseconds: Self.noon + 8 * 86_400_000)
            try await bench.tick(begin, place)
            #expect(try await bench.query("SELECT 1 AS one FROM alarms").count == 7000)
            for second in 1...2 {
                try await bench.tick(Timestamp(milliseconds: begin.milliseconds + Int64(second) * 1000), place)
            }
            #expect(try await bench.query("SELECT 1 AS one FROM alarms").count == 0)
        }
    }

    @Test func eventsCoolDownForEachCampaignAndSayWhatWasKeptBack() async throws {
        let rule =
            "{name: r, event: {type: order.created, above: 100}, channels: [ops], template: x, subject: \"{{ value }} {{ suppressed }}\", coolDown: 5m}"
        try await withBench(rule) { bench in
            try await bench.apply(
                [
                    order("1", value: 101), order("2", value: 100), order("3", value: 102), order("4", value: 103.5),
                    order("5", value: 104, campaign: nil),
                ], now: at(0))
            #expect(try await deliveries(bench) == ["event ops : 101.0 0", "event ops : 104.0 0"])
            try await bench.apply([order("6", value: 105, minute: 5)], now: at(5))
            #expect(try await deliveries(bench).last == "event ops : 105.0 2")
            let bodies = try await bench.query("SELECT body FROM deliveries")
            for row in bodies { #expect(!(try row.value("body", as: String.self)).contains("ada")) }
        }
    }

    @Test func whatHappenedLongAgoNotifiesNobody() async throws {
        let rule = "{name: r, event: {type: order.created}, channels: [ops], template: x, coolDown: 0s}"
        try await withBench(rule) { bench in
            let orders = [try order("1", value: 1), try order("2", value: 1, minute: 2 * 1440)]
            try await bench.apply(orders, now: at(2 * 1440))
            #expect(try await deliveries(bench).count == 1)
            try await bench.apply(orders, now: at(2 * 1440))
            #expect(try await deliveries(bench).count == 1)
        }
    }

    @Test func campaignsAreToldOfByTheirStates() async throws {
        let rule =
            "{name: r, campaign: {states: [completed]}, channels: [ops], template: x, subject: \"{{ campaign_id }} {{ previous | new }}\"}"
        try await withBench(rule) { bench in
            func change(_ state: String, _ version: Int) throws -> Event {
                try .sample(
                    json:
                        "{\"campaign_id\":\"c\",\"state\":\"\(state)\",\"version\":\(version),\"changed_at\":\(Self.noon)}",
                    topic: version == 3 ? "campaigns.changed.notify.replay" : "campaigns.changed")
            }
            try await bench.apply([change("active", 1), change("completed", 2), change("completed", 2)], now: at(0))
            try await bench.apply([change("completed", 3)], now: at(0))
            #expect(try await deliveries(bench) == ["campaign ops : c new", "campaign ops : c new"])
        }
    }

    @Test func endsAreToldOnceAndLeave() async throws {
        let folder = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/topics"
        let schema = try #require(TopicCatalog(folder: folder)["notifications.sent"]?.schema)
        let rule = "{name: r, event: {type: order.created}, channels: [ops, desk], template: x, coolDown: 0s}"
        try await withBench(rule) { bench in
            try await bench.apply([order("1", value: 1), order("2", value: 1, campaign: nil)], now: at(0))
            var told = try await bench.tick(at(1), place)
            #expect(told.isEmpty)
            try await bench.query(
                """
                UPDATE deliveries SET ended_at = now(), attempts = 3, outcome = CASE channel WHEN 'ops' THEN 'sent' ELSE 'failed' END,
                    status = CASE channel WHEN 'ops' THEN 204 END, reason = CASE channel WHEN 'desk' THEN 'no ü' END
                """)
            told = try await bench.tick(at(1), place)
            #expect(told.count == 6)
            #expect(Set(told.map(\.id)).count == 6)
            #expect(told.count { $0.key == "c" } == 3)
            for event in told {
                #expect(event.topic == "notifications.sent")
                let faults = schema.validate(try JSONDocument(parsing: event.json).root)
                #expect(faults.isEmpty, "\(event.json): \(faults)")
            }
            told = try await bench.tick(at(1), place)
            #expect(told.isEmpty)
            // Thirty days later they leave, when it is the partition's turn.
            try await bench.query("UPDATE deliveries SET told_at = now() - interval '31 days' WHERE channel = 'desk'")
            try await bench.tick(Timestamp(milliseconds: 30_000), place)
            #expect(try await bench.query("SELECT 1 AS one FROM deliveries").count == 2)
        }
    }

    @Test(arguments: [
        ("metrics.windows", "{}"), ("metrics.windows", "[]"),
        ("metrics.windows", #"{"campaign_id":"c","metric":"m","window_start":"2026-05-04T12:00:00Z","step":"2m"}"#),
        ("metrics.windows", #"{"campaign_id":"c","metric":"m","window_start":"9999-12-31T23:59:59Z","step":"1m"}"#),
        ("metrics.windows", #"{"campaign_id":"c","metric":"m","window_start":1,"step":"1m"}"#),
        (
            "metrics.windows",
            #"{"campaign_id":"c","metric":"m","window_start":"2026-05-04T12:00:00Z","step":"1m","count":"1","sum":0,"uniques":0}"#
        ),
        (
            "metrics.windows",
            #"{"campaign_id":"c","metric":"m","window_start":"2026-05-04T12:00:00Z","step":"1m","count":1,"sum":0,"uniques":0,"p50":true,"revision":1,"dimensions":{}}"#
        ),
        (
            "metrics.windows",
            #"{"campaign_id":"c","metric":"m","window_start":"2026-05-04T12:00:00Z","step":"1m","count":1,"sum":0,"uniques":0,"revision":-1,"dimensions":{}}"#
        ),
        (
            "metrics.windows",
            #"{"campaign_id":"c","metric":"m","window_start":"2026-05-04T12:00:00Z","step":"1m","count":1,"sum":0,"uniques":0,"revision":1,"dimensions":{"a":1}}"#
        ),
        ("campaigns.changed", "{}"),
        ("campaigns.changed", #"{"campaign_id":"c","state":"active","version":0,"changed_at":1}"#),
        ("campaigns.changed", #"{"campaign_id":"","state":"active","version":1,"changed_at":1}"#),
        ("campaigns.changed", #"{"campaign_id":"c","state":"active","version":1,"changed_at":9223372036854775808}"#),
        ("events.accepted", "{}"), ("events.accepted", #"{"event_type":"","timestamp":1}"#),
        ("events.accepted", #"{"event_type":"a","timestamp":-1}"#),
        ("events.accepted", #"{"event_type":"a","timestamp":253402300800000}"#),
        ("events.accepted", #"{"event_type":"a","timestamp":1,"value":"1"}"#),
        ("events.accepted", #"{"event_type":"a","timestamp":1,"campaign_id":7}"#),
        ("events.accepted", #"{"event_type":"a","timestamp":1,"campaign_id":"a\u0000b"}"#),
    ])
    func whatIsNoneIsRefused(_ topic: String, _ json: String) async throws {
        try await withBench("{name: r, event: {type: a}, channels: [ops], template: x}") { bench in
            let refused = await #expect(throws: Refusal.self) {
                try await bench.apply([.sample(json: json, topic: TopicName(topic))])
            }
            #expect(refused?.reason.hasPrefix("/") == true, "\(json): \(refused?.reason ?? "")")
        }
    }

    @Test func whatIsFarOutIsTaken() async throws {
        let rule =
            "{name: r, event: {type: a, above: 1}, channels: [ops], template: \"{{ value }} {{ data.text }}\", coolDown: 1m}"
        try await withBench(rule) { bench in
            for (number, members) in [
                #""value":1e308"#, #""value":-1e308"#, #""value":9223372036854775808"#,
                #""value":2,"campaign_id":"שלום 🚢","data":{"text":"\#(String(repeating: "x", count: 100_000))"}"#,
                #""value":2,"dimensions":{\#((0..<1000).map { "\"d\($0)\":\"v\"" }.joined(separator: ","))}"#,
            ].enumerated() {
                try await bench.apply(
                    [
                        .sample(
                            id: "\(number)", json: "{\"event_type\":\"a\",\"timestamp\":\(Self.noon),\(members)}",
                            topic: "events.accepted")
                    ],
                    now: at(Int64(number) * 2))
            }
            let row = try await bench.query("SELECT count(*) AS n, max(length(body)) AS longest FROM deliveries")[0]
            #expect(try row.value("n") == 4)
            #expect(try row.value("longest", as: Int.self) < 20_000)
        }
    }
}
