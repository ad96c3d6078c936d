import Testing

@testable import Notify

@Suite struct EndpointTests {
    @Test func soManyASecondAndNoMore() {
        var endpoint = Endpoint(rate: 2, now: 0)
        #expect(endpoint.admit(10, rate: 2, limit: 1000, now: 0) == 2)
        #expect(endpoint.admit(10, rate: 2, limit: 1000, now: 0) == 0)
        // Asked again only when there is one.
        #expect(endpoint.blockedUntil == 500)
        #expect(endpoint.admit(10, rate: 2, limit: 1000, now: 500) == 1)
        #expect(endpoint.admit(10, rate: 2, limit: 1000, now: 100_000) == 2)
    }

    @Test func theClockMayGoBack() {
        var endpoint = Endpoint(rate: 1, now: 10_000)
        #expect(endpoint.admit(1, rate: 1, limit: 1000, now: 5_000) == 1)
        #expect(endpoint.admit(1, rate: 1, limit: 1000, now: 5_000) == 0)
    }

    @Test func failuresInARowBlockEverLongerAndOneProbes() {
        var endpoint = Endpoint(rate: 100, now: 0)
        for _ in 0..<4 { endpoint.failed(retryAfter: 0, now: 0) }
        #expect(endpoint.admit(4, rate: 100, limit: 1000, now: 0) == 4)
        endpoint.failed(retryAfter: 0, now: 0)
        #expect(endpoint.blockedUntil == 5000)
        #expect(endpoint.admit(4, rate: 100, limit: 1000, now: 4999) == 0)
        #expect(endpoint.admit(4, rate: 100, limit: 1000, now: 5000) == 1)
        // Nobody else while it is under way.
        #expect(endpoint.admit(4, rate: 100, limit: 1000, now: 5999) == 0)
        endpoint.failed(retryAfter: 0, now: 5500)
        #expect(endpoint.blockedUntil == 15_500)
        for _ in 0..<100 { endpoint.failed(retryAfter: 0, now: 20_000) }
        #expect(endpoint.blockedUntil == 320_000)
        endpoint.succeeded()
        #expect(endpoint.admit(4, rate: 100, limit: 1000, now: 20_000) == 4)
    }

    @Test func aServerIsLeftAloneForAsLongAsItAsksWithinReason() {
        var endpoint = Endpoint(rate: 10, now: 0)
        endpoint.failed(retryAfter: 30_000, now: 1000)
        #expect(endpoint.admit(1, rate: 10, limit: 1000, now: 30_999) == 0)
        #expect(endpoint.admit(1, rate: 10, limit: 1000, now: 31_000) == 1)
        endpoint.failed(retryAfter: .max, now: 0)
        #expect(endpoint.blockedUntil == 3_600_000)
    }

    @Test func oneThatIsGoneIsNotAsked() {
        var endpoint = Endpoint(rate: 10, now: 0)
        endpoint.isDisabled = true
        #expect(endpoint.admit(1, rate: 10, limit: 1000, now: 99_999) == 0)
    }

    @Test func delaysDoubleToAnHour() {
        #expect((1...4).map { Endpoint.delay(after: $0, random: 0.5) } == [2000, 4000, 8000, 16_000])
        for attempts in [0, 12, 40, Int.max] {
            let delay = Endpoint.delay(after: attempts, random: 1)
            #expect((2000...4_320_000).contains(delay))
        }
        #expect(Endpoint.delay(after: 1, random: 0) == 1600)
    }
}
