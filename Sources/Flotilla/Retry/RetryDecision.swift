package import Contracts

/// What happens next to a record whose handling failed.
package enum RetryDecision: Hashable, Sendable {
    /// Once more in this process, after a while.
    case again(in: Duration)
    /// Off to a retry topic. `countsAttempt` is false where the handler itself named a later time than any tier has.
    case tier(RetryTier, countsAttempt: Bool)
    case dead(DeadLetterReason)
    /// It waits until the dependency is back; nothing is spent.
    case hold(dependency: String)
    /// It is left as it is, for whoever gets the partition next.
    case leave

    /// - Parameters:
    ///   - tries: calls in this process, the failed one counted.
    ///   - tier: where the record comes from, nil when it is the source topic or a replay.
    ///   - age: how long ago it failed for the first time.
    ///   - random: a number from 0 to 1 that spreads the waiting.
    package init(
        for failure: Failure, policy: ConsumerPolicy, tries: Int, tier: RetryTier?, age: Duration = .zero,
        random: Double
    ) {
        switch failure {
        case .permanent: self = .dead(.permanent)
        case .undecodable: self = .dead(.undecodable)
        case .schemaInvalid: self = .dead(.schemaInvalid)
        case .late: self = .dead(.late)
        case .expired: self = .dead(.expired)
        case .tooLarge: self = .dead(.tooLarge)
        case .crashLoop: self = .dead(.crashLoop)
        case .skipped: self = .dead(.skipped)
        case .unavailable(let dependency): self = .hold(dependency: dependency)
        case .cancelled: self = .leave
        case .timeout:
            self = .next(policy: policy, tries: tries, tier: tier, after: nil, age: age, random: random, dead: .timeout)
        case .retry(let after):
            self = .next(
                policy: policy, tries: tries, tier: tier, after: after, age: age, random: random, dead: .exhausted)
        }
    }

    /// After this long a record that is always told to come later is a dead letter.
    private static let longestWait: Duration = .seconds(24 * 3600)

    private static func next(
        policy: ConsumerPolicy, tries: Int, tier: RetryTier?, after: Duration?, age: Duration, random: Double,
        dead: DeadLetterReason
    ) -> RetryDecision {
        // A record from a retry topic has one try there; the tiers are its tries now.
        let allowed = tier == nil ? policy.retry.inProcess : 1
        let pause = max(after ?? .zero, Backoff.delay(beforeTry: tries + 1, random: random))
        if tries < allowed, pause <= Backoff.longest { return .again(in: pause) }
        guard policy.ordering == .none else {
            // Strict order has no tiers: what the handler asks for is waited for, as often as it may try.
            return tries < allowed ? .again(in: pause) : .dead(dead)
        }
        let tiers = policy.retry.tiers
        // A later time than any tier has: round and round in the last one, but not for ever.
        if let after, let longest = tiers.last, after > longest.delay, age < longestWait {
            return .tier(longest, countsAttempt: false)
        }
        let rest = tier.map { current in tiers.filter { $0.seconds > current.seconds } } ?? tiers
        guard let fitting = rest.first(where: { $0.delay >= after ?? .zero }) ?? rest.last else { return .dead(dead) }
        return .tier(fitting, countsAttempt: true)
    }
}

/// How long to wait between tries in one process: any time up to a bound that grows, so that many who failed together
/// do not come back together.
package enum Backoff {
    package static let longest: Duration = .seconds(2)

    /// `number` is the try to come: the second is the first that waits.
    package static func delay(beforeTry number: Int, random: Double) -> Duration {
        var bound = 100.0
        for _ in 2..<max(2, min(number, 6)) { bound *= 4 }
        return .microseconds(Int64(min(bound, 2000) * 1000 * min(max(random, 0), 1)))
    }
}
