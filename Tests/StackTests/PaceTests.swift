import Testing

@testable import Flotilla

@Suite struct PaceTests {
    @Test func tellsEventsASecondAndCores() {
        var pace = Pace()
        pace.note(1000, done: ["process": 500], processor: 1)
        #expect(pace.rates.isEmpty && pace.cores == 0)
        pace.note(3000, done: ["process": 1500, "notify": 20], processor: 2.5)
        #expect(pace.rates == ["process": 500, "notify": 10])
        #expect(pace.cores == 0.75)
        // Twice in the same millisecond, or a clock that was set: nothing to divide by.
        pace.note(3000, done: ["process": 1600], processor: 2.5)
        #expect(pace.rates["process"] == 500)
    }
}
