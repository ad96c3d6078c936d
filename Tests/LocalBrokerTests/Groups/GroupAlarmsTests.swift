import TestSupport
import Testing

@testable import LocalBroker

@Suite struct GroupAlarmsTests {
    private func session(_ member: String) -> GroupAlarm {
        GroupAlarm(group: "g", kind: .session(memberID: member))
    }

    @Test func ringInTheOrderOfTheirTimes() {
        var alarms = GroupAlarms()
        for (member, due) in [("c", 30), ("a", 10), ("b", 20)] { alarms.set(session(member), at: Int64(due)) }
        #expect(alarms.next == 10)
        #expect(alarms.popDue(9) == nil)
        #expect(alarms.popDue(25) == session("a"))
        #expect(alarms.popDue(25) == session("b"))
        #expect(alarms.popDue(25) == nil)
        #expect(alarms.next == 30)
    }

    @Test func movedAlarmsRingOnceAtTheirLastTime() {
        var alarms = GroupAlarms()
        alarms.set(session("a"), at: 100)
        alarms.set(session("a"), at: 50)
        alarms.set(session("a"), at: 70)
        #expect(alarms.popDue(69) == nil)
        #expect(alarms.popDue(70) == session("a"))
        #expect(alarms.popDue(1_000) == nil)
        #expect(alarms.next == nil)
    }

    @Test func aCancelledAlarmIsSilentAlsoWhenSetAgain() {
        var alarms = GroupAlarms()
        alarms.set(session("a"), at: 10)
        alarms.cancel(session("a"))
        #expect(alarms.next == nil)
        alarms.set(session("a"), at: 10)
        #expect(alarms.popDue(10) == session("a"))
        #expect(alarms.popDue(10) == nil)
    }

    /// Against a plain table, for many random steps.
    @Test(arguments: TestDice.seeds(3))
    func doesWhatAPlainTableWould(seed: UInt64) {
        var random = TestDice(seed: seed)
        var alarms = GroupAlarms()
        var table: [GroupAlarm: Int64] = [:]
        var now: Int64 = 0
        for _ in 0..<20_000 {
            let alarm = session("\(Int.random(in: 0..<200, using: &random))")
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let due = now + Int64.random(in: 0..<500, using: &random)
                alarms.set(alarm, at: due)
                table[alarm] = due
            case 6, 7:
                alarms.cancel(alarm)
                table[alarm] = nil
            default:
                now += Int64.random(in: 0..<20, using: &random)
                var rung = Set<GroupAlarm>()
                while let alarm = alarms.popDue(now) { #expect(rung.insert(alarm).inserted, "seed \(seed)") }
                #expect(rung == Set(table.filter { $0.value <= now }.keys), "seed \(seed)")
                table = table.filter { $0.value > now }
            }
            #expect(alarms.count == table.count)
            if let earliest = table.values.min() {
                #expect(alarms.next.map { $0 <= earliest } == true, "seed \(seed): later than what is due")
            } else {
                #expect(alarms.next == nil, "seed \(seed)")
            }
        }
    }

    /// Heartbeats of thousands must not make the loop look at thousands.
    @Test func heartbeatsCostTheTickNothing() {
        var alarms = GroupAlarms()
        let members = (0..<5_000).map { session("\($0)") }
        for round in 0..<100 {
            let now = Int64(round) * 3_000
            for member in members { alarms.set(member, at: now + 45_000) }
            #expect(alarms.popDue(now) == nil)
        }
        // 300 seconds, 45 to a session: each alarm was looked at once a session, not once a heartbeat.
        #expect(alarms.examined <= 5_000 * 300 / 45)
    }
}
