internal import Aggregate
internal import HTTP
internal import Model
internal import Platform
internal import Redis
internal import WebAPI

// Windows of a metric. What somebody asked a moment ago is answered from Redis.
extension Console {
    private static let mostWindows = 20_000

    func metrics(_ call: Call) async throws -> HTTPResponse {
        let questions = try call.questions(WindowQuery.names)
        let query = try WindowQuery(now: Time.wallMilliseconds) { questions[$0] }
        let cache = MetricsCache(place)
        // As it was said: times that are told as ages move on, and an answer is as old as its Age.
        let name = WindowQuery.names.map { questions[$0] ?? "" }.joined(separator: "\u{0}")
        if let (body, age) = await cache?.find(name) { return Self.lines(body, age: age) }
        let rows = try await query.run(place.windows(), limit: Self.mostWindows + 1)
        guard rows.count <= Self.mostWindows else {
            throw Problem(
                422, "more than \(Self.mostWindows) windows fit: ask for less time, longer steps or one campaign")
        }
        var body: [UInt8] = []
        for row in rows { body += row.json + [UInt8(ascii: "\n")] }
        await cache?.keep(name, body)
        return Self.lines(body, age: 0)
    }

    private static func lines(_ body: [UInt8], age: Int64) -> HTTPResponse {
        HTTPResponse(200, "application/x-ndjson", body, headers: [HTTPRequest.Field("Age", "\(age)")])
    }
}

/// Answers of /api/metrics, kept in Redis for a moment, so that many who look ask the database once.
struct MetricsCache: Sendable {
    private let redis: RedisClient
    private let prefix: String
    private let lifetime: Int64
    /// What is larger is asked anew.
    private static let mostBytes = 1 << 20
    private static let patience: Duration = .milliseconds(500)

    /// Nil where nothing is to be kept.
    init?(_ place: Places) {
        let lifetime = place.configuration.cache.milliseconds
        guard let redis = place.redis, lifetime > 0 else { return nil }
        self.redis = redis
        self.lifetime = lifetime
        prefix = place.namespace.key("console:metrics:")
    }

    private func key(_ name: String) -> String {
        let digest = Digest(.sha256)
        digest.start()
        digest.add(Array(name.utf8))
        return prefix + digest.finishBytes().hex(first: 16)
    }

    /// An answer and how many seconds old it is. Redis being away is no reason not to answer.
    func find(_ name: String) async -> (body: [UInt8], age: Int64)? {
        guard let text = try? await redis.execute(RedisCommand("GET", key(name)), within: Self.patience).text,
            let end = text.utf8.firstIndex(of: UInt8(ascii: "\n")), let at = Int64(text[..<end])
        else { return nil }
        let age = max(0, Time.wallMilliseconds - at)
        guard age <= lifetime else { return nil }
        return (Array(text.utf8[text.utf8.index(after: end)...]), age / 1000)
    }

    func keep(_ name: String, _ body: [UInt8]) async {
        guard body.count <= Self.mostBytes else { return }
        let text = "\(Time.wallMilliseconds)\n" + String(decoding: body, as: UTF8.self)
        _ = try? await redis.execute(
            RedisCommand("SET", key(name), text, "PX", "\(lifetime)"), within: Self.patience)
    }
}
