import Flotilla
import TestSupport
import Testing

struct FloodTests {
    @Test func manyAlikeWithinAMinuteAreAFlood() {
        var alarm = FloodAlarm(threshold: 10)
        for number in 0..<9 { #expect(alarm.note("a", sample: "first", now: Int64(number)) == .alone) }
        #expect(alarm.note("b", sample: "other", now: 9) == .alone)
        #expect(alarm.floods(now: 9).isEmpty)
        let raised = alarm.note("a", sample: "tenth", now: 10)
        #expect(raised == .raised(lastMinute: 10))
        let more = alarm.note("a", sample: "eleventh", now: 11)
        #expect(more == .ongoing)
        let floods = alarm.floods(now: 11)
        #expect(floods.map(\.fingerprint) == ["a"])
        #expect(floods.map(\.lastMinute) == [11])
        #expect(floods.map(\.sample) == ["tenth"])
        // It is over when it has become less than half, and told once.
        var over = alarm.look(now: 60_000)
        #expect(over.isEmpty)
        over = alarm.look(now: 100_000)
        #expect(over.map(\.fingerprint) == ["a"])
        over = alarm.look(now: 100_001)
        #expect(over.isEmpty)
        #expect(alarm.floods(now: 100_001).isEmpty)
    }

    @Test func aSlowTrickleIsNone() {
        var alarm = FloodAlarm(threshold: 10)
        // Nine a minute, for an hour.
        for number in 0..<540 {
            let verdict = alarm.note("a", sample: "", now: Int64(number) * 6667)
            #expect(verdict == .alone, "the \(number)th")
        }
    }

    @Test func manyKindsHideNoFlood() {
        var alarm = FloodAlarm(threshold: 50, most: 8)
        let seed = TestDice.seeds(1)[0]
        var dice = TestDice(seed: seed)
        var isRaised = false
        for number in 0..<5000 {
            let now = Int64(number) * 2
            let name = dice.chance(33) ? "flood" : "kind \(dice.next())"
            if case .raised = alarm.note(name, sample: "", now: now) {
                #expect(name == "flood", "seed \(seed)")
                #expect(!isRaised, "seed \(seed)")
                isRaised = true
            }
        }
        #expect(isRaised, "seed \(seed)")
    }
}
