import Edge
import HTTP
import JSON
import Kafka
import Redis
import TestServers
import TestSupport
import Testing

@Suite(.inTurns) struct IdempotencyTests {
    private static let list = #"[{"event_type":"a"},{"event_type":"b","event_id":"own"}]"#

    private func publish(_ client: RawHTTPClient, _ body: String, _ key: String, to path: String = "/v1/events")
        async throws -> RawHTTPClient.Answer
    {
        try await client.publish("application/json", body, to: path, [("Idempotency-Key", key)])
    }

    private func with(
        answerTimeout: Duration = .seconds(60), _ body: (EdgeSite, RedisServer) async throws -> Void
    ) async throws {
        let server = try RedisServer()
        let redis = try RedisClient(try RedisConfiguration(url: server.url))
        defer { redis.close() }
        try await EdgeSite.with(redis: redis, { $0.http.answerTimeout = answerTimeout }) { try await body($0, server) }
    }

    @Test func aRepeatIsAnsweredAsTheFirstAndPublishedOnce() async throws {
        try await with { site, _ in
            let client = try site.client()
            let first = try await publish(client, Self.list, "k")
            #expect(first.status == 202 && first.headers["idempotent-replayed"] == nil)
            #expect(first.headers["idempotency-status"] == nil)
            let again = try await publish(try site.client(), Self.list, "\"k\"")
            #expect(again.status == 202 && again.body == first.body)
            #expect(again.headers["idempotent-replayed"] == "true")
            #expect(try await publish(client, #"{"event_type":"a"}"#, "k").status == 422)
            // Another key is another request, another topic too; what is refused is no first one.
            #expect(try await publish(client, Self.list, "l").headers["idempotent-replayed"] == nil)
            #expect(try await publish(client, "[3]", "m").status == 422)
            #expect(try await publish(client, Self.list, "m").status == 202)
            let elsewhere = try await publish(client, Self.list, "k", to: "/v1/topics/small/events")
            #expect(elsewhere.status == 422 && elsewhere.body.contains("another request was sent"))
            #expect(try await site.read("events.raw", count: 6).count == 6)
        }
    }

    /// An event in headers is another one under other headers, whatever its body.
    @Test func whatTheHeadersSayBelongsToTheRequest() async throws {
        try await with { site, _ in
            let client = try site.client()
            func send(_ id: String, _ type: String = "text/plain") async throws -> RawHTTPClient.Answer {
                try await client.publish(
                    type, "thank you", to: "/v1/events",
                    [
                        ("Idempotency-Key", "k"), ("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/s"),
                        ("ce-type", "t"),
                    ])
            }
            let first = try await send("A")
            #expect(first.status == 202)
            let again = try await send("A")
            #expect(again.body == first.body && again.headers["idempotent-replayed"] == "true")
            #expect(try await send("B").status == 422)
            #expect(try await send("A", "text/html").status == 422)
            // The same topic by its other path.
            let byName = try await publish(client, Self.list, "m", to: "/v1/topics/events.raw/events")
            #expect(try await publish(client, Self.list, "m").body == byName.body)
            #expect(try await site.read("events.raw", count: 3).count == 3)
        }
    }

    /// What follows from the request is not kept: neither ids nor the body.
    @Test func ofAnAnswerOnlyWhatDoesNotFollowIsKept() async throws {
        try await with { site, server in
            let client = try site.client()
            let redis = try RedisClient(try RedisConfiguration(url: server.url))
            defer { redis.close() }
            let lenient = [("Idempotency-Key", "k"), ("Prefer", "handling=lenient")]
            let mixed = #"[{"event_type":"a"},{"event_type":7},{"event_type":"b","event_id":"own"}]"#
            let first = try await client.publish("application/json", mixed, lenient)
            #expect(first.status == 207)
            let again = try await client.publish("application/json", mixed, lenient)
            #expect(again.status == 207 && again.body == first.body)
            let one = try await publish(client, #"{"event_type":"a"}"#, "one")
            #expect(try await publish(client, #"{"event_type":"a"}"#, "one").body == one.body)
            let names = try #require(try await redis.execute(RedisCommand("KEYS", "*edge:*")).array?.compactMap(\.text))
            var kept: Set<String> = []
            for name in names where !name.contains("rate") {
                let fields = try await redis.execute(RedisCommand("HGETALL", name)).array?.compactMap(\.text) ?? []
                kept.formUnion(fields.filter { $0.hasPrefix("{") || $0.hasPrefix("[") })
                #expect(!fields.contains { $0.contains("own") || $0.contains("event_type\"") })
            }
            #expect(kept.contains(#"[{"index":1,"error":"/event_type must be a text"}]"#))
            #expect(kept.count == 2)
        }
    }

    @Test func whatTheLogDidNotTakeIsPublishedByTheRepeat() async throws {
        try await with(answerTimeout: .seconds(3)) { site, _ in
            let client = try site.client()
            try site.stopBroker()
            #expect(try await publish(client, Self.list, "k").status == 503)
            try site.startBroker()
            var answer = try await publish(client, Self.list, "k")
            while answer.status == 503 { answer = try await publish(client, Self.list, "k") }
            #expect(answer.status == 202 && answer.headers["idempotent-replayed"] == nil)
        }
    }

    @Test func withoutRedisKeysAreNotVerifiedAndEventsArePublished() async throws {
        try await with { site, server in
            let client = try site.client()
            let first = try await publish(client, Self.list, "k")
            server.kill()
            let again = try await publish(client, Self.list, "k")
            #expect(again.status == 202 && again.body == first.body)
            #expect(again.headers["idempotency-status"] == "unverified")
            try await eventually { try await client.ask("GET", "/healthz").status != 200 }
            #expect(try await client.ask("GET", "/readyz").status == 200)
        }
    }

    @Test func oneOfManyAtOncePublishes() async throws {
        try await with { site, _ in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<10 {
                    group.addTask { try await publish(try site.client(), Self.list, "k").status }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.allSatisfy { $0 == 202 || $0 == 409 } && statuses.contains(202))
            #expect(try await publish(try site.client(), Self.list, "k").headers["idempotent-replayed"] == "true")
            #expect(try await site.read("events.raw", count: 2).count == 2)
        }
    }
}
