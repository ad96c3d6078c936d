import TestSupport
import Testing

@testable import Aggregate

@Suite struct CardinalityGuardTests {
    @Test func theFirstHaveWindowsOfTheirOwnAndTheRestIsOther() {
        var kept = CardinalityGuard()
        let limits = CardinalityGuard.Limits(values: 3)
        func admit(_ value: String) -> CardinalityGuard.Answer {
            kept.admit(value, dimension: "country", limits: limits)
        }
        #expect(
            ["de", "fr", "de", "tr", "us", "fr", "jp"].map(admit) == [.new, .new, .known, .new, .other, .known, .other])
        #expect(kept.count(of: "country") == 3)
        // Another dimension has places of its own.
        #expect(kept.admit("us", dimension: "region", limits: limits) == .new)
        #expect(kept.count(of: "none") == 0)
    }

    @Test func whatCannotBeKeptIsOtherAndTakesNoPlace() {
        var kept = CardinalityGuard()
        let limits = CardinalityGuard.Limits(values: 2)
        for value in ["other", "a\u{0}b", String(repeating: "x", count: 256), String(repeating: "é", count: 128)] {
            #expect(kept.admit(value, dimension: "d", limits: limits) == .other)
        }
        #expect(kept.count(of: "d") == 0)
        #expect(kept.admit("", dimension: "d", limits: limits) == .new)
        #expect(kept.admit(String(repeating: "x", count: 255), dimension: "d", limits: limits) == .new)
    }

    @Test func bytesCountAndNotWhatTheyLookLike() {
        var kept = CardinalityGuard()
        let limits = CardinalityGuard.Limits()
        #expect("\u{e9}" == "e\u{301}")
        #expect(kept.admit("\u{e9}", dimension: "d", limits: limits) == .new)
        #expect(kept.admit("e\u{301}", dimension: "d", limits: limits) == .new)
        #expect(kept.admit("\u{e9}", dimension: "d", limits: limits) == .known)
    }

    @Test func dimensionsAreLimitedToo() {
        var kept = CardinalityGuard()
        let limits = CardinalityGuard.Limits(values: 5, dimensions: 2)
        #expect(["a", "b", "c"].map { kept.admit("v", dimension: $0, limits: limits) } == [.new, .new, .other])
        var none = CardinalityGuard()
        #expect(none.admit("v", dimension: "a", limits: CardinalityGuard.Limits(values: 0)) == .other)
        #expect(none == CardinalityGuard())
    }

    @Test func aLimitThatWasLoweredTakesNothingAway() {
        var kept = CardinalityGuard()
        for value in 0..<10 { _ = kept.admit("\(value)", dimension: "d", limits: CardinalityGuard.Limits(values: 10)) }
        let lower = CardinalityGuard.Limits(values: 3)
        #expect(kept.admit("9", dimension: "d", limits: lower) == .known)
        #expect(kept.admit("10", dimension: "d", limits: lower) == .other)
        #expect(kept.admit("10", dimension: "d", limits: CardinalityGuard.Limits(values: 11)) == .new)
    }

    /// Against a plain set of strings; and storing it at any point changes no answer.
    @Test(arguments: TestDice.seeds(4)) func itAgreesWithAPlainSetAcrossRestarts(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let limits = CardinalityGuard.Limits(values: 20, dimensions: 4)
        var kept = CardinalityGuard()
        var plain: [String: Set<String>] = [:]
        for _ in 0..<1500 {
            let (dimension, value) = ("d\(dice.next() % 6)", "v\(dice.next() % 40)")
            let answer = kept.admit(value, dimension: dimension, limits: limits)
            let values = plain[dimension]
            let expected: CardinalityGuard.Answer =
                values?.contains(value) == true
                ? .known : (values.map { $0.count < 20 } ?? (plain.count < 4)) ? .new : .other
            if expected == .new { plain[dimension, default: []].insert(value) }
            #expect(answer == expected, "seed \(seed)")
            if dice.chance(5) { kept = try CardinalityGuard(stored: kept.stored) }
        }
        for (dimension, values) in plain { #expect(kept.count(of: dimension) == values.count, "seed \(seed)") }
    }
}
