import Aggregate
import Flotilla
import FlotillaTesting
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

/// What a process remembers is exact, or is thrown away: whatever happens to transactions and partitions, windows and
/// journal hold what a plain count of the committed points says.
@Suite(.inTurns) struct MemoryTests {
    private static let noon = AggregateSite.noon

    private func withSite(_ body: (AggregateSite) async throws -> Void) async throws {
        let site = try await AggregateSite()
        do { try await body(site) } catch {
            site.close()
            throw error
        }
        site.close()
    }

    /// Three processes that all think that the partition is theirs, in any order; transactions that are rolled back;
    /// ticks, replays, processes that are started anew; windows written now and then.
    @Test(arguments: TestDice.seeds(6)) func everyWindowHoldsWhatAPlainCountSays(_ seed: UInt64) async throws {
        try await withSite { site in
            var dice = TestDice(seed: seed)
            let settings = [
                "dimensions": "country", "values": "3", "writeEvery": ["0s", "200ms", "10s"][Int(seed % 3)],
            ]
            var processes = try (0..<3).map { _ in try Aggregate(settings: settings) }
            var seen: [String: [String]] = [:]
            var now = Self.noon
            var current = 0
            for _ in 0..<60 {
                now += [0, 1, 50, 300].randomElement(using: &dice) ?? 0
                // Mostly the same one goes on, so that there is something remembered to be wrong.
                if Int.random(in: 0..<4, using: &dice) == 0 { current = Int.random(in: 0..<3, using: &dice) }
                switch Int.random(in: 0..<12, using: &dice) {
                case 0: try await site.tick(processes[current], now: now)
                case 1: processes[current] = try Aggregate(settings: settings)
                case 2: processes[current].left(TopicPartition("metrics.points", 0))
                case _:
                    let isGivenUp = Int.random(in: 0..<5, using: &dice) == 0
                    var known = seen
                    var events: [Event] = []
                    let topic: TopicName =
                        Int.random(in: 0..<6, using: &dice) == 0 ? "metrics.points.aggregate.replay" : "metrics.points"
                    for _ in 0..<Int.random(in: 1...40, using: &dice) {
                        let campaign = ["a", "b", "ü🚢"].randomElement(using: &dice) ?? ""
                        let country = "c\(Int.random(in: 0..<5, using: &dice))"
                        var values = known[campaign] ?? []
                        if !values.contains(country), values.count < 3 { values.append(country) }
                        known[campaign] = values
                        events.append(
                            try site.point(
                                campaign, at: Self.noon + Int64.random(in: -90_000_000...90_000_000, using: &dice),
                                micros: Int.random(in: 0..<3, using: &dice) == 0
                                    ? nil : Int64.random(in: -5_000_000...5_000_000, using: &dice),
                                user: "u\(Int.random(in: 0..<40, using: &dice))",
                                dimensions: [
                                    ("country", country, values.contains(country) ? country : "other")
                                ], isCounted: !isGivenUp, topic: topic))
                    }
                    try await site.apply(processes[current], events, now: now, isGivenUp: isGivenUp)
                    if !isGivenUp { seen = known }
                }
            }
            try await site.tick(try Aggregate(settings: settings), now: now)
            try await site.check("seed \(seed)")
        }
    }

    /// What a process wrote to the journal before it died, its successor counts; and when the first one turns out to be
    /// alive and gets the partition back, it has forgotten what it knew.
    @Test func theJournalIsReadByWhoeverComesNext() async throws {
        try await withSite { site in
            let first = try Aggregate(settings: ["writeEvery": "10s"])
            let second = try Aggregate(settings: ["writeEvery": "10s"])
            try await site.apply(first, [site.point("c", at: Self.noon, user: "a")])
            for user in ["b", "c", "d"] { try await site.apply(first, [site.point("c", at: Self.noon, user: user)]) }
            let row = try await site.query("SELECT last - folded AS waiting FROM partitions")[0]
            #expect(try row.value("waiting") == 3)
            #expect(try await site.query("SELECT count FROM windows WHERE step = '1d'")[0].value("count") == 1)
            try await site.apply(second, [site.point("c", at: Self.noon, user: "e")])
            try await site.apply(first, [site.point("c", at: Self.noon, user: "e")])
            try await site.apply(second, [site.point("c", at: Self.noon, user: "f")])
            try await site.tick(first)
            try await site.check("in the end")
        }
    }

    /// More than the journal holds is written in between, and its places are used again and again.
    @Test func theJournalGoesRound() async throws {
        try await withSite { site in
            let handler = try Aggregate(settings: ["writeEvery": "10s"])
            for batch in 0..<70 {
                let events = try (0..<500).map { number in
                    try site.point(
                        "c\(number % 7)", at: Self.noon + Int64(number), micros: 7, user: "\(batch)/\(number % 13)")
                }
                try await site.apply(handler, events)
            }
            // What is left in it is read by another one.
            try await site.tick(try Aggregate())
            try await site.check("35000 points")
            let size = try await site.query("SELECT count(*) AS n, pg_relation_size('journal') AS bytes FROM journal")[
                0]
            #expect(try size.value("n", as: Int.self) <= 2048)
            #expect(try size.value("bytes", as: Int.self) <= 2049 * 8192)
        }
    }

    /// More windows than may be remembered: what is forgotten is read again when it is needed.
    @Test func whatIsForgottenIsReadAgain() async throws {
        try await withSite { site in
            let limit = 300_000
            let handler = try Aggregate(settings: ["writeEvery": "0s"], memoryLimit: limit)
            // Each of 20 campaigns has 150 windows of a minute, three of an hour and one of a day: 80 KB at least.
            for round in 0..<2 {
                for campaign in 0..<20 {
                    let events = try (0..<300).map { number in
                        try site.point(
                            "c\(campaign)", at: Self.noon + Int64(number / 2) * 60_000, user: "\(round) \(number)")
                    }
                    try await site.apply(handler, events)
                    #expect(handler.remembered <= limit)
                }
            }
            try await site.check("twice")
        }
    }

    /// Points of one campaign by two partitions at once: its windows go to and fro, and nothing is lost.
    @Test func aCampaignInTwoPartitionsIsExact() async throws {
        try await withSite { site in
            for setting in ["0s", "10s"] {
                let left = try Aggregate(settings: ["writeEvery": setting])
                let right = try Aggregate(settings: ["writeEvery": setting])
                for number in 0..<20 {
                    let (one, two) = (left, right)
                    let events = try [0, 1].map { try site.point("c", at: Self.noon, user: "\(number)", partition: $0) }
                    async let first: Void = again { try await site.apply(one, [events[0]]) }
                    async let second: Void = again { try await site.apply(two, [events[1]]) }
                    _ = try await (first, second)
                }
                try await again { try await site.tick(left, partition: 0) }
                try await again { try await site.tick(right, partition: 1) }
            }
            try await site.check("in the end")
        }
    }

    /// While one partition waits for another to let go of a window, a third one has it and counts on.
    @Test func aCampaignInThreePartitionsIsExact() async throws {
        try await withSite { site in
            let (here, there) = (
                try Aggregate(settings: ["writeEvery": "0s"]), try Aggregate(settings: ["writeEvery": "0s"])
            )
            try await site.apply(here, [try site.point("c", at: Self.noon)])
            for partition in [Int32(1), 2] {
                let other = try site.point("d", at: Self.noon, partition: partition)
                try await again { try await site.apply(there, [other]) }
            }
            let first = try await site.pool.begin()
            _ = try await first.query("SELECT 1 AS one FROM partitions WHERE partition = 0 FOR UPDATE")
            let event = try site.point("c", at: Self.noon, partition: 1)
            async let waiting: Void = again { try await site.apply(there, [event]) }
            try await site.blocked(by: first)
            _ = try await site.query("UPDATE windows SET partition = 2 WHERE campaign = 'c'")
            let third = try await site.pool.begin()
            _ = try await third.query("SELECT 1 AS one FROM partitions WHERE partition = 2 FOR UPDATE")
            try await third.execute("UPDATE windows SET count = count + 1 WHERE campaign = 'c'")
            _ = try site.point("c", at: Self.noon, partition: 2)
            await first.rollBack()
            try await site.blocked(by: third)
            try await third.commit()
            try await waiting
            try await site.check("with what the third one counted")
        }
    }

    /// Values that two partitions let in side by side keep their windows, whichever of them writes last.
    @Test func valuesThatTwoPartitionsLetInAreBothKept() async throws {
        try await withSite { site in
            let settings = ["dimensions": "country", "values": "2", "writeEvery": "0s"]
            let (left, right) = (try Aggregate(settings: settings), try Aggregate(settings: settings))
            func point(_ country: String, _ metric: String, _ partition: Int32) throws -> Event {
                try AggregateSite.event(
                    #"{"campaign_id":"c","metric":"\#(metric)","timestamp":\#(Self.noon),"dimensions":{"country":"\#(country)"}}"#,
                    partition: partition)
            }
            try await site.apply(left, [point("a", "m", 0)])
            try await site.apply(right, [point("b", "n", 1)])
            try await site.apply(left, [point("d", "m", 0)])
            try await site.apply(try Aggregate(settings: settings), [point("b", "n", 1)])
            let rows = try await site.query(
                "SELECT value, count FROM windows WHERE step = '1d' AND dimension = 'country' ORDER BY value")
            #expect(try rows.map { try $0.value("value", as: String.self) } == ["a", "b", "d"])
            #expect(try rows.map { try $0.value("count", as: Int.self) } == [1, 2, 1])
        }
    }

    /// As a worker does, with everything that may be tried again.
    private func again(_ body: () async throws -> Void) async throws {
        while true {
            do { return try await body() } catch let fault as PostgresFault where fault.isRetriable {}
        }
    }
}
