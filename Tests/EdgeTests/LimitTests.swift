import Platform
import Redis
import TestServers
import TestSupport
import Testing

@testable import Edge

@Suite(.inTurns) struct LimitTests {
    private static let rate = 1000

    /// One edge takes all, and the other one comes to know.
    @Test func edgesShareWhatACallerMaySend() async throws {
        let server = try RedisServer()
        let redis = try RedisClient(try RedisConfiguration(url: server.url))
        defer { redis.close() }
        let shared = SharedLimits(redis: redis, prefix: "t:", rate: Self.rate)
        let (one, other) = (RateLimiter(rate: Self.rate, shared: shared), RateLimiter(rate: Self.rate, shared: shared))
        try await eventually {
            while one.take("shop", now: Time.monotonicMilliseconds).passes {}
            // By itself it would have all but the few it took.
            return other.take("shop", now: Time.monotonicMilliseconds).remaining < Self.rate / 2
        }
        // Who took nothing has all of it.
        #expect(other.take("till", now: Time.monotonicMilliseconds).remaining == Self.rate - 1)
    }

    @Test func withoutRedisEachCountsForItself() async throws {
        let server = try RedisServer()
        let redis = try RedisClient(try RedisConfiguration(url: server.url))
        defer { redis.close() }
        server.kill()
        let limiter = RateLimiter(rate: 3, shared: SharedLimits(redis: redis, prefix: "t:", rate: 3))
        #expect((0..<4).map { _ in limiter.take("shop", now: 0).passes } == [true, true, true, false])
        #expect(limiter.take("shop", now: 1000).passes)
    }

    @Test func aDebtIsPaidWithTime() async throws {
        let server = try RedisServer()
        let redis = try RedisClient(try RedisConfiguration(url: server.url))
        defer { redis.close() }
        let shared = SharedLimits(redis: redis, prefix: "t:", rate: 10)
        let levels = await shared.tell([("a", 1000), ("b", 4)])
        // A second's worth is the most that anybody owes.
        #expect(levels == [-10_000, 6000])
        try await eventually { await shared.tell([("a", 0)])?.first ?? -1 > -10_000 }
    }

    @Test func manyCallersTakeNoMoreMemory() {
        let limiter = RateLimiter(rate: 1)
        for number in 0..<50_000 { _ = limiter.take("caller-\(number)", now: Int64(number)) }
        #expect(limiter.take("last", now: 50_000).passes)
    }
}
