internal import HTTP
internal import Synchronization

/// How many requests a caller may send: a bucket for each, that fills with time.
///
/// A bucket holds a second's worth, so a caller may be silent and then send that many at once.
final class RateLimiter: Sendable {
    /// Requests a second.
    let rate: Int
    private let policy: String
    private let buckets = Mutex<[String: Bucket]>([:])

    private struct Bucket {
        /// Thousandths of a request: a millisecond brings as many as the rate.
        var level: Int
        var at: Int64
    }

    /// More callers than this at once are not remembered; whose bucket is full is forgotten first.
    private static let callerLimit = 10_000

    init(rate: Int) {
        self.rate = rate
        policy = "\"default\";q=\(rate);w=1"
    }

    /// What came of a request: whether it may pass, and what is left.
    struct Verdict: Sendable {
        let passes: Bool
        let remaining: Int
        let rate: Int
        let policy: String

        /// As draft-ietf-httpapi-ratelimit-headers has them.
        var headers: [HTTPRequest.Field] {
            [
                HTTPRequest.Field("RateLimit-Policy", policy),
                HTTPRequest.Field("RateLimit", "\"default\";r=" + String(remaining) + ";t=1"),
            ]
        }
    }

    /// Takes one from a caller's bucket. `now` is the monotonic clock's, in milliseconds.
    func take(_ caller: String, now: Int64) -> Verdict {
        let (rate, full) = (rate, rate * 1000)
        return buckets.withLock { buckets in
            if buckets.count >= Self.callerLimit, buckets[caller] == nil {
                buckets = buckets.filter { $0.value.level + Int(now - $0.value.at) * rate < full }
                // All of them are busy: then none is remembered, which is better than to grow.
                if buckets.count >= Self.callerLimit { buckets.removeAll() }
            }
            var bucket = buckets[caller] ?? Bucket(level: full, at: now)
            // A second fills it; counting more could overflow.
            bucket.level = min(full, bucket.level + Int(min(1000, max(0, now - bucket.at))) * rate)
            bucket.at = max(bucket.at, now)
            let passes = bucket.level >= 1000
            if passes { bucket.level -= 1000 }
            buckets[caller] = bucket
            return Verdict(passes: passes, remaining: bucket.level / 1000, rate: rate, policy: policy)
        }
    }
}
