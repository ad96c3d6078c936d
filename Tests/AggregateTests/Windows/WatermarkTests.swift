import TestSupport
import Testing

@testable import Aggregate

@Suite struct WatermarkTests {
    /// 2026-05-04T00:00Z, the start of a day.
    private let day: Int64 = 1_777_852_800_000
    private var limits: Watermark.Limits { Watermark.Limits(lateness: .seconds(10), idleAfter: .seconds(30)) }

    private func minute(_ number: Int64) throws -> Window {
        try #require(Window(.minute, containing: day + number * 60_000))
    }

    @Test func aWindowClosesWhenEventTimeHasPassedItByTheLateness() throws {
        var mark = Watermark(limits, now: day)
        #expect(mark.time == nil)
        mark.change(try minute(0))
        mark.saw(eventTime: day + 69_999, now: day + 70_000)
        #expect(mark.tick(now: day + 70_000).isEmpty)
        #expect(mark.isClosed(try minute(0)) == false)
        mark.saw(eventTime: day + 70_000, now: day + 70_001)
        let closings = mark.tick(now: day + 70_001)
        #expect(closings.map(\.window) == [try minute(0)])
        #expect(mark.isClosed(try minute(0)) == true)
        // Until it is told for good it stays due.
        #expect(mark.tick(now: day + 70_002) == closings)
        mark.told(closings)
        #expect(mark.tick(now: day + 70_003).isEmpty)
    }

    @Test func whatComesLaterMakesItDueAgain() throws {
        var mark = Watermark(limits, now: day)
        mark.change(try minute(0))
        mark.saw(eventTime: day + 120_000, now: day + 120_000)
        let first = mark.tick(now: day + 120_000)
        // Between the telling and the word that it was committed.
        mark.change(try minute(0))
        mark.told(first)
        let second = mark.tick(now: day + 121_000)
        #expect(second.map(\.window) == [try minute(0)])
        #expect(second != first)
        mark.told(second)
        #expect(mark.tick(now: day + 122_000).isEmpty)
        mark.change(try minute(0))
        #expect(mark.tick(now: day + 123_000).map(\.window) == [try minute(0)])
    }

    @Test func itNeverGoesBack() {
        var mark = Watermark(limits, now: day)
        mark.saw(eventTime: day + 100_000, now: day + 100_000)
        mark.saw(eventTime: day, now: day + 100_001)
        mark.saw(eventTime: .min, now: day + 100_002)
        #expect(mark.time == day + 90_000)
    }

    @Test func aClockThatIsAheadClosesNothingThatIsStillGoingOn() {
        var mark = Watermark(limits, now: day)
        mark.saw(eventTime: day + 300_000, now: day + 1000)
        #expect(mark.time == day - 9000)
        mark.saw(eventTime: .max, now: day + 2000)
        #expect(mark.time == day - 8000)
    }

    @Test func anIdlePartitionFollowsTheClockAndAHeldOneDoesNot() throws {
        for isHeld in [false, true] {
            var mark = Watermark(limits, now: day)
            mark.change(try minute(0))
            mark.saw(eventTime: day + 5000, now: day + 5000)
            if isHeld { mark.hold() }
            #expect(mark.tick(now: day + 34_999).isEmpty)
            #expect(mark.time == day - 5000)
            let closings = mark.tick(now: day + 70_000)
            #expect(closings.map(\.window) == (isHeld ? [] : [try minute(0)]))
            #expect(mark.time == (isHeld ? day - 5000 : day + 60_000))
            guard isHeld else { continue }
            // After that it is given the whole while again.
            mark.release(now: day + 1_000_000)
            #expect(mark.tick(now: day + 1_029_999).isEmpty)
            #expect(mark.tick(now: day + 1_030_000).count == 1)
        }
    }

    @Test func releasingWhatIsNotHeldIsNothing() {
        var mark = Watermark(limits, now: day)
        mark.release(now: day + 29_000)
        _ = mark.tick(now: day + 30_000)
        #expect(mark.time == day + 20_000)
    }

    @Test func aClockThatWasPutBackDoesNotLookBusyForHours() {
        var mark = Watermark(limits, now: day)
        mark.saw(eventTime: day, now: day)
        _ = mark.tick(now: day - 3_600_000)
        _ = mark.tick(now: day - 3_570_000)
        #expect(mark.time == day - 10_000)
        _ = mark.tick(now: day + 60_000)
        #expect(mark.time == day + 50_000)
    }

    @Test func itGoesOnFromWhatWasStored() throws {
        var mark = Watermark(limits, time: day + 60_000, now: day + 70_000)
        #expect(mark.isClosed(try minute(0)))
        #expect(!mark.isClosed(try minute(1)))
        mark.change(try minute(0))
        mark.change(try minute(1))
        #expect(mark.tick(now: day + 70_000).map(\.window) == [try minute(0)])
    }

    @Test func theEndsOfTheNumberRangeDoNotTrap() throws {
        let ends: [Int64] = [.min, .max, 0, Window.times.lowerBound, Window.times.upperBound]
        for start in ends {
            for now in ends {
                for event in ends {
                    var mark = Watermark(limits, time: start, now: now)
                    mark.change(try #require(Window(.day, containing: Window.times.upperBound - 1)))
                    mark.change(try #require(Window(.day, containing: Window.times.lowerBound)))
                    mark.saw(eventTime: event, now: now)
                    mark.hold()
                    mark.release(now: start)
                    for time in ends { _ = mark.tick(now: time) }
                }
            }
        }
        var eager = Watermark(Watermark.Limits(lateness: .seconds(Int64.max), idleAfter: .seconds(-5)), now: 0)
        _ = eager.tick(now: .max)
    }

    /// The same in the plainest way: everything that happened is kept, and every answer is computed from that.
    private struct Plain {
        enum Happening {
            case saw(event: Int64, now: Int64), hold, release(now: Int64), tick(now: Int64)
        }

        let start: Int64
        var history: [Happening] = []
        var untold: Set<Window> = []

        var time: Int64? {
            var (marks, lastSeen, isHeld): ([Int64], Int64, Bool) = ([], start, false)
            for happening in history {
                switch happening {
                case .saw(let event, let now):
                    marks.append(min(event, now) - 10_000)
                    lastSeen = now
                case .hold: isHeld = true
                case .release(let now):
                    if isHeld { lastSeen = now }
                    isHeld = false
                case .tick(let now): if !isHeld, now - lastSeen >= 30_000 { marks.append(now - 10_000) }
                }
            }
            return marks.max()
        }

        func due() -> [Window] {
            guard let time else { return [] }
            return untold.filter { $0.end <= time }.sorted()
        }
    }

    @Test(arguments: TestDice.seeds(8)) func itAgreesWithThePlainOne(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        var now = day
        var mark = Watermark(limits, now: now)
        var plain = Plain(start: now)
        var last: Int64?
        for _ in 0..<250 {
            now += Int64.random(in: 0...(dice.chance(10) ? 60_000 : 3000), using: &dice)
            switch Int.random(in: 0..<12, using: &dice) {
            case 0..<4:
                let event = now + Int64.random(in: (dice.chance(10) ? -7_200_000 : -8000)...5000, using: &dice)
                mark.saw(eventTime: event, now: now)
                plain.history.append(.saw(event: event, now: now))
                for window in Window.all(containing: event) {
                    mark.change(window)
                    plain.untold.insert(window)
                }
            case 4:
                // From a replay: it changes windows and moves no time.
                for window in Window.all(containing: now - Int64.random(in: 0...90_000_000, using: &dice)) {
                    mark.change(window)
                    plain.untold.insert(window)
                }
            case 5:
                mark.hold()
                plain.history.append(.hold)
            case 6:
                mark.release(now: now)
                plain.history.append(.release(now: now))
            case _:
                let closings = mark.tick(now: now)
                plain.history.append(.tick(now: now))
                #expect(closings.map(\.window) == plain.due(), "seed \(seed)")
                // The transaction is committed, or not.
                if dice.chance(70) {
                    let again = closings.filter { _ in dice.chance(5) }
                    for closing in again { mark.change(closing.window) }
                    mark.told(closings)
                    plain.untold.subtract(Set(closings.map(\.window)).subtracting(again.map(\.window)))
                }
            }
            #expect(mark.time == plain.time, "seed \(seed)")
            if let last { #expect(mark.time.map { $0 >= last } == true, "seed \(seed)") }
            if let time = mark.time { #expect(time <= now - 10_000, "seed \(seed)") }
            last = mark.time
        }
        // In the end everything that changed is told.
        mark.release(now: now)
        now += 90_000_000
        mark.told(mark.tick(now: now))
        #expect(mark.tick(now: now + 100_000_000).isEmpty, "seed \(seed)")
    }
}
