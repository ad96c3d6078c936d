/// How a channel fares: a token bucket, so that it is not overrun, and a breaker, so that one that is down is asked ever
/// more seldom instead of with everything that waits. All workers share it, by its row in Postgres.
///
/// A value: questions in, answers out, time (milliseconds, Postgres' clock) a parameter.
struct Endpoint: Hashable, Sendable {
    var tokens: Double
    var countedAt: Int64
    /// Failures in a row.
    var failures: Int
    var blockedUntil: Int64
    var isDisabled: Bool

    /// So many failures in a row open the breaker.
    static let mostFailures = 5
    private static let shortestBreak: Int64 = 5_000
    private static let longestBreak: Int64 = 300_000
    /// What a server may ask for at most.
    private static let longestRetryAfter: Int64 = 3_600_000

    init(rate: Int, now: Int64) {
        self.init(tokens: Double(rate), countedAt: now, failures: 0, blockedUntil: 0, isDisabled: false)
    }

    init(tokens: Double, countedAt: Int64, failures: Int, blockedUntil: Int64, isDisabled: Bool) {
        self.tokens = tokens
        self.countedAt = countedAt
        self.failures = failures
        self.blockedUntil = blockedUntil
        self.isDisabled = isDisabled
    }

    /// How many tries may begin now, of so many that are wanted. A try takes `limit` at most.
    mutating func admit(_ wanted: Int, rate: Int, limit: Int64, now: Int64) -> Int {
        guard !isDisabled, blockedUntil <= now, wanted > 0 else { return 0 }
        let passed = max(0, now - countedAt)
        tokens = min(Double(rate), tokens + Double(min(passed, 3_600_000)) / 1000 * Double(rate))
        countedAt = max(countedAt, now)
        var admitted = min(wanted, Int(max(0, tokens)))
        if failures >= Self.mostFailures, admitted > 0 {
            // A single one finds out, and the others wait for what it says.
            admitted = 1
            blockedUntil = now + limit
        }
        tokens -= Double(admitted)
        if admitted == 0 {
            // Nobody need ask again before there is a whole token.
            blockedUntil = now + max(1, Int64((1 - tokens) * 1000 / Double(rate)))
        }
        return admitted
    }

    mutating func succeeded() {
        failures = 0
        blockedUntil = 0
    }

    /// `retryAfter`: what the server asked for, in milliseconds; 0 for nothing.
    mutating func failed(retryAfter: Int64, now: Int64) {
        failures = min(failures + 1, 1_000_000)
        if failures >= Self.mostFailures {
            let doublings = min(failures - Self.mostFailures, 10)
            blockedUntil = max(blockedUntil, now + min(Self.longestBreak, Self.shortestBreak << Int64(doublings)))
        }
        if retryAfter > 0 { blockedUntil = max(blockedUntil, now + min(retryAfter, Self.longestRetryAfter)) }
    }

    /// When a delivery is tried again after so many tries: 2 s, doubled each time to an hour, and a little more or less,
    /// so that not all come back at once.
    static func delay(after attempts: Int, random: Double) -> Int64 {
        let doubled: Int64 = 2000 << Int64(min(max(attempts - 1, 0), 11))
        return Int64(Double(min(doubled, 3_600_000)) * (0.8 + 0.4 * random))
    }
}
