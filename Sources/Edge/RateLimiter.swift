internal import HTTP
internal import Platform
internal import Synchronization

/// How many requests a caller may send: a bucket for each, that fills with time.
///
/// A bucket holds a second's worth, so a caller may be silent and then send that many at once. With Redis, all edges share
/// the buckets; while it is away each counts for itself.
final class RateLimiter: Sendable {
    /// Requests a second.
    let rate: Int
    private let policy: HTTPRequest.Field
    private let shared: SharedLimits?
    private let state = Mutex(State())

    private struct State {
        var buckets: [String: Bucket] = [:]
        /// Those who have taken something that was not told yet.
        var untold: Set<String> = []
        /// Whether something is being told, or will be in a moment.
        var isTelling = false
    }

    private struct Bucket {
        /// Thousandths of a request: a millisecond brings as many as the rate.
        var level: Int
        var at: Int64
        /// Taken and not told yet.
        var taken = 0
    }

    /// More callers than this at once are not remembered; whose bucket is full is forgotten first.
    private static let callerLimit = 10_000
    /// So long what is taken gathers, and so many callers are told at once.
    private static let interval = Duration.milliseconds(50)
    private static let callersAtOnce = 500
    /// How long to leave Redis alone that does not answer.
    private static let pause = Duration.seconds(1)

    init(rate: Int, shared: SharedLimits? = nil) {
        self.rate = rate
        self.shared = shared
        policy = HTTPRequest.Field("RateLimit-Policy", "\"default\";q=\(rate);w=1")
    }

    /// What came of a request: whether it may pass, and what is left.
    struct Verdict: Sendable {
        let passes: Bool
        let remaining: Int
        let rate: Int
        let policy: HTTPRequest.Field

        /// As draft-ietf-httpapi-ratelimit-headers has them.
        var headers: [HTTPRequest.Field] {
            [policy, HTTPRequest.Field("RateLimit", Self.text(remaining))]
        }

        /// Written in one piece, because every answer has it: adding strings up costs several times as much.
        private static func text(_ remaining: Int) -> String {
            let (start, end): (StaticString, StaticString) = ("\"default\";r=", ";t=1")
            return unsafe String(unsafeUninitializedCapacity: 40) { room in
                var count = 0
                func add(_ text: StaticString) {
                    let bytes = unsafe UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
                    unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(room)[count...])
                        .copyMemory(from: bytes)
                    count += bytes.count
                }
                add(start)
                var (digits, rest) = (1, remaining / 10)
                while rest > 0 { (digits, rest) = (digits + 1, rest / 10) }
                rest = remaining
                for place in stride(from: count + digits - 1, through: count, by: -1) {
                    unsafe room[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                count += digits
                add(end)
                return count
            }
        }
    }

    /// Takes one from a caller's bucket. `now` is the monotonic clock's, in milliseconds.
    func take(_ caller: String, now: Int64) -> Verdict {
        let (verdict, mustTell) = state.withLock { state in
            // Looked for once; a place holds until another bucket is put in.
            let place = state.buckets.index(forKey: caller) ?? open(caller, &state, now)
            fill(&state.buckets.values[place], now)
            let passes = state.buckets.values[place].level >= 1000
            var mustTell = false
            if passes {
                state.buckets.values[place].level -= 1000
                if shared != nil {
                    if state.buckets.values[place].taken == 0 { state.untold.insert(caller) }
                    state.buckets.values[place].taken += 1
                    mustTell = !state.isTelling
                    state.isTelling = true
                }
            }
            let remaining = max(0, state.buckets.values[place].level / 1000)
            return (Verdict(passes: passes, remaining: remaining, rate: rate, policy: policy), mustTell)
        }
        if mustTell { Task { await tell() } }
        return verdict
    }

    private func fill(_ bucket: inout Bucket, _ now: Int64) {
        // A second and a debt at most are to be filled; counting more could overflow.
        bucket.level = min(rate * 1000, bucket.level + Int(min(2000, max(0, now - bucket.at))) * rate)
        bucket.at = max(bucket.at, now)
    }

    /// A full bucket for a caller who has none.
    private func open(_ caller: String, _ state: inout State, _ now: Int64) -> Dictionary<String, Bucket>.Index {
        if state.buckets.count >= Self.callerLimit { makeRoom(&state, now) }
        state.buckets[caller] = Bucket(level: rate * 1000, at: now)
        guard let place = state.buckets.index(forKey: caller) else { preconditionFailure("it was put there just now") }
        return place
    }

    private func makeRoom(_ state: inout State, _ now: Int64) {
        state.buckets = state.buckets.filter { $0.value.level + Int(min(2000, now - $0.value.at)) * rate < rate * 1000 }
        // All of them are busy: then none is remembered, which is better than to grow.
        if state.buckets.count >= Self.callerLimit { state.buckets.removeAll() }
        state.untold.formIntersection(state.buckets.keys)
    }

    // MARK: Shared

    /// Tells what is taken until nothing more is.
    private func tell() async {
        while let shared {
            try? await Task.sleep(for: Self.interval)
            let taken = state.withLock { state -> [(caller: String, count: Int)] in
                let callers = state.untold.prefix(Self.callersAtOnce)
                let taken = callers.map { caller in (caller: caller, count: state.buckets[caller]?.taken ?? 0) }
                for (caller, _) in taken {
                    state.untold.remove(caller)
                    state.buckets[caller]?.taken = 0
                }
                if taken.isEmpty { state.isTelling = false }
                return taken
            }
            if taken.isEmpty { return }
            guard let levels = await shared.tell(taken) else {
                // What was taken meanwhile is between this edge and its callers.
                try? await Task.sleep(for: Self.pause)
                continue
            }
            let now = Time.monotonicMilliseconds
            state.withLock { state in
                for ((caller, _), level) in zip(taken, levels) {
                    guard var bucket = state.buckets[caller] else { continue }
                    bucket.level = level - bucket.taken * 1000
                    bucket.at = now
                    state.buckets[caller] = bucket
                }
            }
        }
    }
}
