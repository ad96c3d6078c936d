import Edge
import HTTP
import JSON
import Kafka
import Redis
import TestServers
import TestSupport
import Testing

/// What is too large, and who says so.
@Suite(.inTurns) struct SizeTests {
    private static func event(_ size: Int) -> String {
        #"{"event_type":"t","data":{"p":"\#(String(repeating: "x", count: size))"}}"#
    }

    /// Many small events are no large one, though they travel together.
    @Test func batchesAreNoLargerThanTheTopicTakes() async throws {
        try await EdgeSite.with { site in
            let lines = String(repeating: Self.event(100) + "\n", count: 2000)
            let answer = try await site.client().publish("application/x-ndjson", lines, to: "/v1/topics/small/events")
            #expect(answer.status == 202, "\(answer.body)")
            #expect(
                try await site.client().publish(
                    "application/json", Self.event(10_000), to: "/v1/topics/small/events"
                ).status == 413)
        }
    }

    /// What the broker alone finds too large is refused; the rest of a stream is published.
    @Test func oneThatTheBrokerRefusesEndsNoStream() async throws {
        try await EdgeSite.with { site in
            let lines = [100, 40_000, 100].map { Self.event($0) + "\n" }.joined()
            let path = "/v1/topics/narrow/events"
            let answer = try await site.client().publish("application/x-ndjson", lines, to: path)
            let result = try answer.json
            let (accepted, rejected) = (result["accepted"]?.int64 ?? 0, result["rejected"]?.int64 ?? 0)
            #expect([207, 422].contains(answer.status) && accepted + rejected == 3 && rejected > 0, "\(answer.body)")
            let told = try #require(result["results"]).elements.compactMap { $0["index"]?.int64 }
            #expect(told.contains(1) && told.count == Int(rejected))
            // And a line that is sent alone gets through.
            #expect(try await site.client().publish("application/x-ndjson", Self.event(100), to: path).status == 202)
            #expect(try await site.read("narrow", count: Int(accepted) + 1).count == Int(accepted) + 1)
        }
    }

    /// Of a list it is told which are in the log, and a repeat is told the same.
    @Test func oneThatTheBrokerRefusesIsToldOfAList() async throws {
        let server = try RedisServer()
        let redis = try RedisClient(try RedisConfiguration(url: server.url))
        defer { redis.close() }
        try await EdgeSite.with(redis: redis) { site in
            let client = try site.client()
            // By their keys they go to different partitions, some of them.
            let events = (0..<20).map { number in
                let size = number == 7 ? 40_000 : 10
                return
                    #"{"event_type":"t","campaign_id":"\#(number)","data":{"p":"\#(String(repeating: "x", count: size))"}}"#
            }
            let body = "[" + events.joined(separator: ",") + "]"
            func send() async throws -> RawHTTPClient.Answer {
                try await client.publish(
                    "application/json", body, to: "/v1/topics/narrow/events", [("Idempotency-Key", "k")])
            }
            let answer = try await send()
            #expect(answer.status == 207, "\(answer.body)")
            let accepted = Int(try answer.json["accepted"]?.int64 ?? 0)
            #expect(accepted > 0 && accepted < 20)
            #expect(try answer.json.at(pointer: "/results/7/error")?.string?.contains("larger") == true)
            #expect(try await site.read("narrow", count: accepted).count == accepted)
            let again = try await send()
            #expect(again.body == answer.body && again.headers["idempotent-replayed"] == "true")
        }
    }

    @Test func attributesAreBoundedTogether() async throws {
        try await EdgeSite.with { site in
            let text = String(repeating: "x", count: 255)
            let extensions = (0..<60).map { #""ext\#($0)":"\#(text)""# }.joined(separator: ",")
            let event = #"{"specversion":"1.0","id":"1","source":"a","type":"t",\#(extensions)}"#
            let answer = try await site.client().publish("application/cloudevents+json", event)
            #expect(answer.status == 413)
        }
    }
}
