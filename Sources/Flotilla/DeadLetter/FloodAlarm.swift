/// Notices that many events fail for one reason: a release that broke something, a sender that lost its mind.
///
/// It only tells. Bad input is the dead letters' business, and pausing for it would make an outage of it. How many came
/// in the last minute is estimated from this minute and the one before, which takes two counters a kind.
package struct FloodAlarm: Sendable {
    /// So many alike within a minute are a flood, until it is less than half of that.
    private let threshold: Int
    private let most: Int
    private var kinds: [String: Kind] = [:]

    private static let window: Int64 = 60_000

    private struct Kind {
        var began: Int64
        var count = 0
        var before = 0
        var isFlood = false
        var sample: String

        /// Begins the next minute when this one is over.
        mutating func turn(_ now: Int64) {
            let passed = now - began
            guard passed >= window else { return }
            before = passed < 2 * window ? count : 0
            count = 0
            began += passed / window * window
        }

        func estimate(_ now: Int64) -> Int {
            let passed = min(max(0, now - began), 2 * window)
            guard passed < window else { return Int(Int64(count) * (2 * window - passed) / window) }
            return count + Int(Int64(before) * (window - passed) / window)
        }
    }

    package enum Verdict: Hashable, Sendable {
        case alone
        /// From now on it is a flood.
        case raised(lastMinute: Int)
        /// One more of a flood that was told of.
        case ongoing
    }

    /// A flood that is on.
    package struct Flood: Hashable, Sendable {
        package let fingerprint: String
        package let lastMinute: Int
        package let sample: String
    }

    package init(threshold: Int = 100, most: Int = 256) {
        self.threshold = threshold
        self.most = most
    }

    /// An event failed. `sample` is what is shown of it.
    package mutating func note(_ fingerprint: String, sample: String, now: Int64) -> Verdict {
        if kinds[fingerprint] == nil, kinds.count >= most, !makeRoom(now) { return .alone }
        var kind = kinds[fingerprint] ?? Kind(began: now, sample: sample)
        kind.turn(now)
        kind.count += 1
        defer { kinds[fingerprint] = kind }
        if kind.isFlood { return .ongoing }
        let estimate = kind.estimate(now)
        guard estimate >= threshold else { return .alone }
        kind.isFlood = true
        kind.sample = sample
        return .raised(lastMinute: estimate)
    }

    /// Looks which floods are over, and forgets what has not come for long.
    package mutating func look(now: Int64) -> [Flood] {
        var over: [Flood] = []
        for (fingerprint, var kind) in kinds {
            kind.turn(now)
            let estimate = kind.estimate(now)
            if kind.isFlood, estimate < threshold / 2 {
                kind.isFlood = false
                over.append(Flood(fingerprint: fingerprint, lastMinute: estimate, sample: kind.sample))
            }
            kinds[fingerprint] = estimate == 0 ? nil : kind
        }
        return over
    }

    /// The floods that are on, the largest first.
    package func floods(now: Int64) -> [Flood] {
        kinds.compactMap { fingerprint, kind in
            kind.isFlood
                ? Flood(fingerprint: fingerprint, lastMinute: kind.estimate(now), sample: kind.sample) : nil
        }.sorted { ($1.lastMinute, $0.fingerprint) < ($0.lastMinute, $1.fingerprint) }
    }

    /// Forgets the kind that has come least, so that many that come once hide no flood.
    private mutating func makeRoom(_ now: Int64) -> Bool {
        let least = kinds.filter { !$0.value.isFlood }.min { $0.value.estimate(now) < $1.value.estimate(now) }
        guard let least else { return false }
        kinds[least.key] = nil
        return true
    }
}
