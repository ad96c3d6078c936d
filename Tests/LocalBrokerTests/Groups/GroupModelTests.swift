import TestSupport
import Testing

@testable import LocalBroker

@Suite struct GroupModelTests {
    @Test(arguments: TestDice.seeds(6))
    func whateverHappensTheRulesHold(seed: UInt64) {
        var model = GroupModel(seed: seed)
        for _ in 0..<5_000 { model.step() }
        model.settle()
        // The run was worth something.
        #expect(model.agreements > 50 && model.restarts > 3, "seed \(seed)")
    }

    /// Thousands of members that beat: the loop must not look at each of them each time.
    @Test func thousandsOfMembersAreCheap() {
        var world = GroupWorld()
        let groups = (0..<8).map { "g\($0)" }
        let members = groups.map { world.stableGroup(500, group: $0, session: 30_000).members }
        let before = world.coordinator.context.alarms.examined
        for _ in 0..<100 {
            world.now += 3_000
            world.take(world.coordinator.tick(now: world.now))
            for (group, members) in zip(groups, members) {
                for member in members { #expect(world.heartbeat(member, 1, group: group) == .none) }
            }
        }
        // 300 seconds are 10 sessions, and each member was looked at about once in each, for 400 000 heartbeats in all.
        let examined = world.coordinator.context.alarms.examined - before
        #expect(examined <= 4_000 * 13)
        #expect(world.coordinator.context.alarms.count == 4_000)
    }
}
