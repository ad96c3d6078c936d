internal import Platform
internal import Redis

/// The buckets of all edges, in Redis.
///
/// Nobody waits for it. Each edge decides by what it knows, and some times a second tells what its callers have taken, all
/// of them in one call of a script, which answers what is left for everybody. So a caller of several edges may get beyond
/// its rate by what passes in such a moment, and that is owed: a bucket may be below zero, by a second's worth at most.
struct SharedLimits: Sendable {
    let redis: RedisClient
    let prefix: String
    let rate: Int

    private static let patience = Duration.milliseconds(500)

    /// A bucket fills with Redis' own time; levels are thousandths of a request.
    private static let script = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local rate = tonumber(ARGV[1])
        local full = rate * 1000
        local levels = {}
        for index, key in ipairs(KEYS) do
            local kept = redis.call('HMGET', key, 'level', 'at')
            local level = tonumber(kept[1]) or full
            local at = tonumber(kept[2]) or now
            level = math.min(full, level + math.min(1000, math.max(0, now - at)) * rate)
            level = math.max(-full, level - tonumber(ARGV[index + 1]) * 1000)
            redis.call('HSET', key, 'level', string.format('%.0f', level), 'at', string.format('%.0f', math.max(now, at)))
            redis.call('PEXPIRE', key, 5000)
            levels[index] = level
        end
        return levels
        """)

    /// Tells what callers have taken. What is left of each; nil when Redis does not say.
    func tell(_ taken: [(caller: String, count: Int)]) async -> [Int]? {
        do throws(RedisFault) {
            let answer = try await redis.evaluate(
                Self.script, keys: taken.map { prefix + $0.caller },
                { command in
                    command.add(rate)
                    for (_, count) in taken { command.add(count) }
                }, within: Self.patience)
            let levels = answer.array?.compactMap(\.integer).map { Int(clamping: $0) }
            return levels?.count == taken.count ? levels : nil
        } catch { return nil }
    }
}
