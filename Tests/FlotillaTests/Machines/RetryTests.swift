import Contracts
import Flotilla
import Model
import TestSupport
import Testing

@Suite struct RetryDecisionTests {
    private func decide(
        _ failure: Failure, tries: Int = 1, tier: RetryTier? = nil, age: Duration = .zero, random: Double = 1,
        _ change: (inout ConsumerPolicy) -> Void = { _ in }
    ) -> RetryDecision {
        var policy = ConsumerPolicy(handler: "h")
        change(&policy)
        return RetryDecision(for: failure, policy: policy, tries: tries, tier: tier, age: age, random: random)
    }

    @Test func theWholeWayOfARecordThatNeverPasses() {
        #expect(decide(.retry(after: nil), tries: 1) == .again(in: .milliseconds(100)))
        #expect(decide(.retry(after: nil), tries: 2) == .again(in: .milliseconds(400)))
        #expect(decide(.retry(after: nil), tries: 3) == .tier(.seconds(10), countsAttempt: true))
        #expect(decide(.retry(after: nil), tier: .seconds(10)) == .tier(.minutes(1), countsAttempt: true))
        #expect(decide(.retry(after: nil), tier: .minutes(1)) == .tier(.minutes(10), countsAttempt: true))
        #expect(decide(.retry(after: nil), tier: .minutes(10)) == .dead(.exhausted))
        #expect(decide(.timeout, tier: .minutes(10)) == .dead(.timeout))
        #expect(decide(.retry(after: nil), tries: 3) { $0.retry.tiers = [] } == .dead(.exhausted))
    }

    @Test func whatTheHandlerAsksForIsWaitedFor() {
        #expect(decide(.retry(after: .seconds(1))) == .again(in: .seconds(1)))
        #expect(decide(.retry(after: .seconds(5))) == .tier(.seconds(10), countsAttempt: true))
        #expect(decide(.retry(after: .seconds(11))) == .tier(.minutes(1), countsAttempt: true))
        #expect(decide(.retry(after: .seconds(3600))) == .tier(.minutes(10), countsAttempt: false))
        #expect(
            decide(.retry(after: .seconds(3600)), tier: .minutes(10)) == .tier(.minutes(10), countsAttempt: false))
        // Not for ever.
        #expect(decide(.retry(after: .seconds(3600)), tier: .minutes(10), age: .seconds(86_400)) == .dead(.exhausted))
    }

    @Test func strictOrderHasNoTiers() {
        func strict(_ failure: Failure, tries: Int) -> RetryDecision {
            decide(failure, tries: tries) { $0.ordering = .partition }
        }
        #expect(strict(.retry(after: nil), tries: 2) == .again(in: .milliseconds(400)))
        #expect(strict(.retry(after: .seconds(30)), tries: 1) == .again(in: .seconds(30)))
        #expect(strict(.retry(after: nil), tries: 3) == .dead(.exhausted))
        #expect(strict(.timeout, tries: 3) == .dead(.timeout))
        #expect(strict(.unavailable(dependency: "x"), tries: 9) == .hold(dependency: "x"))
    }

    @Test func whatCannotPassIsDeadAtOnceAndAnOutageSpendsNothing() {
        #expect(decide(.permanent) == .dead(.permanent))
        #expect(decide(.undecodable) == .dead(.undecodable))
        #expect(decide(.schemaInvalid) == .dead(.schemaInvalid))
        #expect(decide(.late) == .dead(.late))
        #expect(decide(.expired) == .dead(.expired))
        #expect(decide(.tooLarge) == .dead(.tooLarge))
        #expect(decide(.crashLoop) == .dead(.crashLoop))
        #expect(decide(.skipped) == .dead(.skipped))
        #expect(decide(.cancelled) == .leave)
        #expect(decide(.unavailable(dependency: "db"), tries: 100) == .hold(dependency: "db"))
    }

    @Test func theBackoffIsBounded() {
        for number in 0..<100 {
            for random in [-1.0, 0, 0.5, 1, 7] {
                let delay = Backoff.delay(beforeTry: number, random: random)
                #expect(delay >= .zero && delay <= Backoff.longest)
            }
        }
        #expect(Backoff.delay(beforeTry: 4, random: 1) == .milliseconds(1600))
        #expect(Backoff.delay(beforeTry: 5, random: 1) == .seconds(2))
    }
}

@Suite struct BreakerTests {
    private func breaker(failures: Int = 3) -> Breaker {
        var policy = ConsumerPolicy.Breaker()
        policy.failures = failures
        policy.window = .seconds(20)
        policy.cooldown = .seconds(5)
        return Breaker(policy)
    }

    @Test func itOpensProbesWithOneAndCloses() {
        var breaker = breaker()
        #expect(breaker.failed(now: 0) == false)
        #expect(breaker.failed(now: 1) == false)
        #expect(breaker.mayRun(now: 1) == .yes)
        #expect(breaker.failed(now: 2) == true)
        #expect(breaker.mayRun(now: 3) == .no(until: 5002))
        #expect(breaker.mayRun(now: 5002) == .probe)
        // Exactly one.
        #expect(breaker.mayRun(now: 5002) != .probe && breaker.mayRun(now: 5002) != .yes)
        #expect(breaker.succeeded(now: 5003) == false)
        #expect(breaker.mayRun(now: 5003) == .probe)
        #expect(breaker.succeeded(now: 5004) == false)
        #expect(breaker.mayRun(now: 5004) == .probe)
        #expect(breaker.succeeded(now: 5005) == true)
        #expect(breaker.mayRun(now: 5005) == .yes)
    }

    @Test func theCooldownDoublesUpToAMinute() {
        var breaker = breaker(failures: 1)
        var now: Int64 = 0
        #expect(breaker.failed(now: now) == true)
        for wait: Int64 in [5000, 10_000, 20_000, 40_000, 60_000, 60_000] {
            #expect(breaker.mayRun(now: now + wait - 1) == .no(until: now + wait))
            now += wait
            #expect(breaker.mayRun(now: now) == .probe)
            #expect(breaker.failed(now: now) == false)
        }
    }

    @Test func halfOfManyIsEnoughAndFewAreNot() {
        var breaker = breaker(failures: 10)
        var opened = false
        for call in 0..<30 where !opened {
            if call % 2 == 0 {
                _ = breaker.succeeded(now: Int64(call))
            } else {
                opened = breaker.failed(now: Int64(call))
            }
            if opened { #expect(call >= 19) }
        }
        #expect(opened)
        var slow = self.breaker(failures: 10)
        // The same, but each in a window of its own.
        for call in 0..<30 {
            let now = Int64(call) * 21_000
            if call % 2 == 0 { _ = slow.succeeded(now: now) } else { #expect(slow.failed(now: now) == false) }
        }
    }

    @Test func aProbeThatGoesAwayIsGivenToTheNext() {
        var breaker = breaker(failures: 1)
        _ = breaker.failed(now: 0)
        #expect(breaker.mayRun(now: 5000) == .probe)
        breaker.probeAbandoned()
        #expect(breaker.mayRun(now: 5000) == .probe)
    }
}
