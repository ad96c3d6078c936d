import Testing

@testable import Notify

/// The alarm as a machine, on a clock of minutes.
@Suite struct AlarmTests {
    private let minute: Int64 = 60_000
    private let high = Threshold(side: .above, limit: 10, until: 5, duration: .zero)

    /// Judges windows of a minute, one after the other; what was found in each.
    private func run(
        _ values: [Double?], _ threshold: Threshold, coolDown: Int64 = 0, freshFrom: Int = 0
    ) -> [[Alarm.Signal]] {
        var alarm = Alarm()
        return values.enumerated().map { place, value in
            let start = Int64(place) * minute
            let moment = Alarm.Moment(now: start + minute, isFresh: place >= freshFrom)
            return alarm.see(start, value, step: minute, empty: 0, threshold, coolDown: coolDown, moment).map(\.signal)
        }
    }

    @Test func itFiresBeyondTheLimitAndEndsAtTheOther() {
        // 7 is between the limits: an alarm holds there, and none begins.
        let found = run([7, 11, 12, 7, 5, 7, 11], high)
        #expect(
            found == [
                [], [.firing(since: minute, suppressed: 0)], [], [], [.resolved(since: minute)], [],
                [.firing(since: 6 * minute, suppressed: 0)],
            ])
    }

    @Test func itHasToLastForAsLongAsTheRuleSays() {
        var threshold = high
        threshold.duration = .seconds(180)
        #expect(run([11, 11, 9, 11, 11], threshold).flatMap { $0 } == [])
        #expect(
            run([11, 11, 11, 11, 0], threshold)
                == [[], [], [.firing(since: 0, suppressed: 0)], [], [.resolved(since: 0)]])
    }

    @Test func belowIsTheOtherWayRound() {
        let low = Threshold(side: .below, limit: 10, until: 20, duration: .zero)
        #expect(
            run([10, 9, 15, 20], low) == [[], [.firing(since: minute, suppressed: 0)], [], [.resolved(since: minute)]])
    }

    @Test func duringTheCoolDownItIsSilentAndTellsWhatIsStillSoAfterIt() {
        let found = run([11, 0, 11, 0, 11, 11, 11, 0], high, coolDown: 5 * minute)
        #expect(
            found == [
                [.firing(since: 0, suppressed: 0)], [.resolved(since: 0)], [], [], [],
                [.firing(since: 4 * minute, suppressed: 2)], [], [.resolved(since: 4 * minute)],
            ])
    }

    /// An amendment takes the end of an alarm back, and the next one its beginning: each is another one to tell.
    @Test func whatAmendmentsBeginAndEndIsToldEachTime() {
        var alarm = Alarm()
        func see(_ place: Int64, _ value: Double) -> [Alarm.Found] {
            alarm.see(
                place * minute, value, step: minute, empty: 0, high, coolDown: 0,
                Alarm.Moment(now: (place + 1) * minute, isFresh: true))
        }
        let found = [see(0, 11), see(1, 0), see(1, 12), see(1, 0), see(1, 12), see(2, 0)].flatMap { $0 }
        #expect(
            found.map(\.signal) == [
                .firing(since: 0, suppressed: 0), .resolved(since: 0), .firing(since: 0, suppressed: 0),
                .resolved(since: 0), .firing(since: 0, suppressed: 0), .resolved(since: 0),
            ])
        #expect(found.map(\.number) == [1, 1, 2, 2, 3, 3])
    }

    @Test func windowsThatNobodyToldOfAreEmpty() {
        var alarm = Alarm()
        func see(_ place: Int64, _ value: Double?, _ threshold: Threshold) -> [Alarm.Found] {
            alarm.see(
                place * minute, value, step: minute, empty: 0, threshold, coolDown: 0,
                Alarm.Moment(now: (place + 1) * minute, isFresh: true))
        }
        _ = see(0, 11, high)
        #expect(
            see(10, 12, high).map(\.signal) == [.resolved(since: 0), .firing(since: 10 * minute, suppressed: 0)])
        alarm = Alarm()
        let low = Threshold(side: .below, limit: 1, until: 1, duration: .seconds(300))
        _ = see(0, 3, low)
        let found = see(10, 3, low)
        #expect(found.map(\.signal) == [.firing(since: minute, suppressed: 0), .resolved(since: minute)])
        #expect(found.map(\.start) == [9 * minute, 10 * minute])
    }

    @Test func anAmendmentOfTheLastWindowIsJudgedAnew() {
        var alarm = Alarm()
        func see(_ place: Int64, _ value: Double) -> [Alarm.Signal] {
            alarm.see(
                place * minute, value, step: minute, empty: 0, high, coolDown: minute * 60,
                Alarm.Moment(now: (place + 1) * minute, isFresh: true)
            ).map(\.signal)
        }
        #expect(see(0, 9) == [])
        #expect(see(0, 11) == [.firing(since: 0, suppressed: 0)])
        // The same once more is no second alarm, and what is over is over.
        #expect(see(0, 12) == [])
        #expect(see(1, 11) == [])
        #expect(see(0, 1) == [])
        #expect(see(1, 2) == [.resolved(since: 0)])
    }

    @Test func whatIsTooOldTellsNobody() {
        #expect(
            run([11, 11, 11, 0], high, freshFrom: 2) == [
                [], [], [.firing(since: 0, suppressed: 0)], [.resolved(since: 0)],
            ])
        #expect(run([11, 0, 0], high, freshFrom: 2).flatMap { $0 } == [])
    }

    @Test func aQuantileOfNothingIsNoAlarmAndEndsOne() {
        #expect(
            run([nil, 11, nil], high) == [[], [.firing(since: minute, suppressed: 0)], [.resolved(since: minute)]])
    }

    @Test func changesAreThoseAgainstTheWindowBefore() {
        let change = Change(rises: 100, falls: 50, least: 10)
        var alarm = Alarm()
        func see(_ place: Int64, _ value: Double?) -> [Alarm.Signal] {
            alarm.compare(
                place * minute, value, step: minute, empty: 0, change, coolDown: 0,
                Alarm.Moment(now: (place + 1) * minute, isFresh: true)
            ).map(\.signal)
        }
        #expect(see(0, 100) == [])
        #expect(see(1, 50) == [])
        #expect(see(2, 24) == [.changed(percent: -52, previous: 50, suppressed: 0)])
        #expect(see(3, 48) == [])
        #expect(see(4, 9) == [.changed(percent: -81.25, previous: 48, suppressed: 0)])
        // Too little to compare with.
        #expect(see(5, 900) == [])
        // Nobody told of the sixth.
        #expect(see(7, 20) == [.changed(percent: -100, previous: 900, suppressed: 0)])
        #expect(see(6, 5) == [])
    }

    @Test func coolDownCountsWhatItKeepsBack() {
        var alarm = Alarm()
        func pass(_ now: Int64, isFresh: Bool = true) -> Int? {
            alarm.pass(1000, Alarm.Moment(now: now, isFresh: isFresh))
        }
        #expect(pass(5000) == 0)
        #expect(pass(5999) == nil)
        #expect(pass(5999, isFresh: false) == nil)
        #expect(pass(6000) == 1)
        #expect(pass(7000) == 0)
    }
}
