import Platform
import TestSupport
import Testing

@testable import Aggregate

@Suite struct WindowTests {
    private func time(_ text: String) throws -> Int64 { try #require(Timestamp(text: text)).milliseconds }

    @Test func aTimeBelongsToAMinuteAnHourAndADay() throws {
        let windows = Window.all(containing: try time("2026-05-04T03:02:01.999Z"))
        #expect(
            windows.map(\.description) == [
                "1m/2026-05-04T03:02:00.000Z", "1h/2026-05-04T03:00:00.000Z", "1d/2026-05-04T00:00:00.000Z",
            ])
        #expect(
            windows.map(\.end) == [
                try time("2026-05-04T03:03:00Z"), try time("2026-05-04T04:00:00Z"), try time("2026-05-05T00:00:00Z"),
            ])
    }

    @Test(arguments: Step.allCases) func theStartIsWithinAndTheEndWithout(step: Step) throws {
        for text in ["1970-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T00:00:00Z"] {
            let start = try time(text)
            let window = try #require(Window(step, containing: start))
            #expect(window.start == start && window.contains(start) && !window.contains(window.end))
            #expect(Window(step, containing: window.end - 1) == window)
            #expect(Window(step, containing: window.end) != window)
            #expect(window.startTime.description.hasPrefix(text.dropLast()))
        }
    }

    @Test func beforeNineteenSeventyIsNotRoundedUp() throws {
        #expect(Window(.minute, containing: -1)?.start == -60_000)
        #expect(Window(.minute, containing: -60_000)?.start == -60_000)
        #expect(Window(.minute, containing: -60_001)?.start == -120_000)
        #expect(Window(.day, containing: -1)?.description == "1d/1969-12-31T00:00:00.000Z")
    }

    @Test func beyondTheCalendarThereAreNone() throws {
        #expect(try time("9999-12-31T23:59:59.999Z") == Window.times.upperBound - 1)
        #expect(try time("0000-01-01T00:00:00Z") == Window.times.lowerBound)
        for milliseconds in [.min, .max, .min + 1, Window.times.lowerBound - 1, Window.times.upperBound] as [Int64] {
            #expect(Window.all(containing: milliseconds).isEmpty)
        }
        #expect(
            Window.all(containing: Window.times.upperBound - 1).map(\.end) == [
                253_402_300_800_000, 253_402_300_800_000, 253_402_300_800_000,
            ])
    }

    @Test(arguments: TestDice.seeds(2)) func windowsOfAStepTileTheTime(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<500 {
            let milliseconds = Int64.random(in: Window.times, using: &dice)
            let windows = Window.all(containing: milliseconds)
            #expect(windows.count == 3, "seed \(seed)")
            for window in windows {
                #expect(window.contains(milliseconds) && window.start % window.step.milliseconds == 0, "seed \(seed)")
            }
            #expect(windows == windows.sorted(), "seed \(seed)")
        }
    }
}
