internal import HTTP
internal import Model
internal import Platform
internal import Redis

/// What requests with an Idempotency-Key came to, kept in Redis for a day.
///
/// A request claims its key for as long as it may take; its answer replaces the claim when the log has acknowledged, and
/// the claim goes when it has not, so that a repeat is published again, under the same ids. A digest of all that makes the
/// events, `RememberedEvents.whole`, tells a repeat from another request. Of the answer only what does not follow from the request is kept: where one event went,
/// and which of several were refused.
struct IdempotencyMemory: Sendable {
    let redis: RedisClient
    let prefix: String

    enum Verdict: Sendable {
        /// Nobody had it: `owner` says that the claim is ours.
        case first(owner: String)
        /// What the first one was answered: its status, and what does not follow from the request.
        case done(status: Int, detail: [UInt8])
        /// The first one is under way.
        case busy
        /// The first one had other events.
        case differs
        /// Redis does not say.
        case unknown
    }

    private static let lease: Int64 = 30_000
    private static let lifetime: Int64 = 86_400_000
    /// Redis has a part of the five seconds that a request has.
    private static let patience = Duration.seconds(1)
    /// Giving up a claim comes before an answer that may be the deadline's.
    private static let patienceAtTheEnd = Duration.milliseconds(200)

    private static let claimScript = RedisScript(
        """
        local kept = redis.call('HMGET', KEYS[1], 'digest', 'status', 'body')
        if not kept[1] then
            redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'owner', ARGV[2])
            redis.call('PEXPIRE', KEYS[1], ARGV[3])
            return {'first'}
        end
        if kept[1] ~= ARGV[1] then return {'differs'} end
        if kept[2] then return {'done', kept[2], kept[3]} end
        return {'busy'}
        """)

    private static let settleScript = RedisScript(
        """
        if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
        if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
        redis.call('HSET', KEYS[1], 'status', ARGV[2], 'body', ARGV[3])
        redis.call('HDEL', KEYS[1], 'owner')
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        return 1
        """)

    /// What a caller's key is called in Redis: nothing of it may be more than a name. The topic is not in it, because ids
    /// follow from caller and key alone: to another topic the same key is the key of another request.
    func name(caller: String, key: String) -> String { prefix + Self.digest(Array("\(caller)\0\(key)".utf8)) }

    /// `whole`: all of the request that its events are made of.
    func claim(_ name: String, whole: [UInt8]) async -> Verdict {
        let owner = UUIDValue.version7().description
        let answer: RedisValue
        do throws(RedisFault) {
            answer = try await redis.evaluate(
                Self.claimScript, keys: [name],
                { command in
                    command.add(Self.digest(whole))
                    command.add(owner)
                    command.add(Self.lease)
                }, within: Self.patience)
        } catch { return .unknown }
        guard let parts = answer.array else { return .unknown }
        switch parts.first?.text {
        case "first": return .first(owner: owner)
        case "busy": return .busy
        case "differs": return .differs
        case "done":
            guard parts.count == 3, let status = parts[1].text.flatMap({ Int($0) }), let body = parts[2].bytes else {
                return .unknown
            }
            return .done(status: status, detail: body)
        case _: return .unknown
        }
    }

    /// Keeps what was published, or gives up the claim. False when Redis has not done so.
    func settle(
        _ name: String, owner: String, _ response: HTTPResponse, _ events: RememberedEvents
    ) async -> Bool {
        let isDone = response.status < 300
        do throws(RedisFault) {
            _ = try await redis.evaluate(
                Self.settleScript, keys: [name],
                { command in
                    command.add(owner)
                    command.add(isDone ? "\(response.status)" : "")
                    command.add(isDone ? events.detail(of: response) : [])
                    command.add(Self.lifetime)
                }, within: isDone ? Self.patience : Self.patienceAtTheEnd)
            return true
        } catch { return false }
    }

    private static func digest(_ bytes: [UInt8]) -> String {
        unsafe Digest.sha256(bytes.span.bytes).hex()
    }
}
