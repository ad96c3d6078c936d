package import Contracts
internal import Platform

/// Whether something that a handler needs is there: one for each handler and dependency.
///
/// Closed, it counts failures: so many in a row, or half of at least twice as many calls, within the window, and it
/// opens. Open, nothing runs until the cooldown is over; then exactly one record may try. When it fails, the cooldown
/// doubles, up to twelve times the first; three that succeed close it.
package struct Breaker: Sendable {
    package enum Answer: Hashable, Sendable {
        case yes
        /// One record may try; how it went is to be told, or `probeAbandoned`.
        case probe
        /// Not before this time.
        case no(until: Int64)
    }

    package enum State: Hashable, Sendable {
        case closed
        case open(until: Int64)
        case halfOpen(successes: Int, isProbing: Bool)
    }

    private let policy: ConsumerPolicy.Breaker
    package private(set) var state = State.closed
    private var cooldown: Int64
    private var inARow = 0
    /// Calls of the window, in slices of a tenth of it, so that nothing is kept per call.
    private var slices: [(start: Int64, calls: Int, failures: Int)] = []

    package init(_ policy: ConsumerPolicy.Breaker) {
        self.policy = policy
        cooldown = policy.cooldown.milliseconds
    }

    package mutating func mayRun(now: Int64) -> Answer {
        switch state {
        case .closed: return .yes
        case .open(let until) where now < until: return .no(until: until)
        case .open:
            state = .halfOpen(successes: 0, isProbing: true)
            return .probe
        case .halfOpen(_, true):
            // Whoever probes says soon how it went; a look at most a second later does no harm.
            return .no(until: now + 1000)
        case .halfOpen(let successes, false):
            state = .halfOpen(successes: successes, isProbing: true)
            return .probe
        }
    }

    /// Calls went well. True when this closed the breaker.
    package mutating func succeeded(_ calls: Int = 1, now: Int64) -> Bool {
        inARow = 0
        switch state {
        case .closed:
            count(calls: calls, failures: 0, now: now)
            return false
        case .open: return false
        case .halfOpen(let successes, _) where successes + 1 >= 3:
            state = .closed
            cooldown = policy.cooldown.milliseconds
            slices = []
            return true
        case .halfOpen(let successes, _):
            state = .halfOpen(successes: successes + 1, isProbing: false)
            return false
        }
    }

    /// A call failed because the dependency is not there. True when this opened the breaker.
    package mutating func failed(now: Int64) -> Bool {
        switch state {
        case .closed:
            inARow += 1
            count(calls: 1, failures: 1, now: now)
            let calls = slices.reduce(0) { $0 + $1.calls }
            let failures = slices.reduce(0) { $0 + $1.failures }
            guard inARow >= policy.failures || (calls >= 2 * policy.failures && 2 * failures >= calls) else {
                return false
            }
            open(now: now)
            return true
        case .open: return false
        case .halfOpen:
            cooldown = min(cooldown * 2, policy.cooldown.milliseconds * 12)
            open(now: now)
            return false
        }
    }

    /// The record that was to probe went away without a word: the next one may.
    package mutating func probeAbandoned() {
        if case .halfOpen(let successes, true) = state { state = .halfOpen(successes: successes, isProbing: false) }
    }

    private mutating func open(now: Int64) {
        state = .open(until: now + cooldown)
        inARow = 0
        slices = []
    }

    private mutating func count(calls: Int, failures: Int, now: Int64) {
        let window = policy.window.milliseconds
        slices.removeAll { $0.start <= now - window }
        let width = max(1, window / 10)
        if let last = slices.last, now - last.start < width {
            slices[slices.count - 1].calls += calls
            slices[slices.count - 1].failures += failures
        } else {
            slices.append((now, calls, failures))
        }
    }
}
