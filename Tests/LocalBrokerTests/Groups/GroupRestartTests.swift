import Testing

@testable import LocalBroker

@Suite struct GroupRestartTests {
    typealias W = GroupWorld

    @Test(arguments: [false, true])
    func aStableGroupGoesOn(fromSnapshot: Bool) {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["i"], protocols: W.protocols(["range", "sticky"]))
        world.commit(members[0], 1, offsets: [("t", 0, 42)])
        let before = world.coordinator.describe(group: "g")
        world.pass(9_000)
        world.restart(fromSnapshot: fromSnapshot)
        #expect(world.coordinator.describe(group: "g") == before)
        #expect(world.offset("t", 0) == 42)
        // A whole session, whatever was left of the last.
        world.pass(9_999)
        #expect(world.state() == .stable)
        #expect(world.heartbeat(members[0], 1, instance: "i") == .none)
        let sync = world.sync(members[1], 1)
        #expect(world.synced[sync]?.assignment == Array(members[1].utf8))
        // With all its protocols known, a follower that joins again is just told.
        let join = world.join(W.joinRequest(member: members[1], protocols: W.protocols(["range", "sticky"])))
        #expect(world.joined[join]?.generation == 1)
        let leader = world.join(
            W.joinRequest(member: members[0], instance: "i", protocols: W.protocols(["range", "sticky"])))
        #expect(world.joined[leader] == nil)
    }

    @Test(arguments: [false, true])
    func membersThatDoNotComeBackAreOut(fromSnapshot: Bool) {
        var world = W()
        _ = world.stableGroup(3)
        world.restart(fromSnapshot: fromSnapshot)
        world.pass(10_000)
        #expect(world.state() == .empty)
        world.restart(fromSnapshot: fromSnapshot)
        let token = world.join()
        world.pass(50)
        #expect((world.joined[token]?.generation ?? 0) > 1)
    }

    @Test(arguments: [false, true])
    func aGenerationIsNotGivenOutTwice(fromSnapshot: Bool) {
        var world = W()
        let (members, _) = world.stableGroup(1)
        let first = world.join(W.joinRequest(member: members[0]))
        #expect(world.joined[first]?.generation == 2)
        // It dies before the assignment: back to what was agreed, which is the first generation.
        world.restart(fromSnapshot: fromSnapshot)
        #expect(world.heartbeat(members[0], 2) == .illegalGeneration)
        #expect(world.heartbeat(members[0], 1) == .none)
        world.restart(fromSnapshot: fromSnapshot)
        let second = world.join(W.joinRequest(member: members[0]))
        #expect(world.joined[second]?.generation == 3)
    }

    @Test(arguments: [false, true])
    func anOlderAgreementIsNoWayBack(fromSnapshot: Bool) {
        var world = W()
        let (members, _) = world.stableGroup(1, instances: ["i"])
        world.join(W.joinRequest(member: members[0], instance: "i"))
        world.restart(fromSnapshot: fromSnapshot)
        // Under the first generation again, a static member comes back, which is written down.
        let back = world.join(W.joinRequest(instance: "i"))
        #expect(world.joined[back]?.generation == 1)
        world.restart(fromSnapshot: fromSnapshot)
        let next = world.join(W.joinRequest(member: world.joined[back]?.memberID ?? "", instance: "i"))
        #expect(world.joined[next]?.generation == 3)
    }

    @Test(arguments: [false, true])
    func aFirstRoundThatDidNotEndLeavesItsNumber(fromSnapshot: Bool) {
        var world = W()
        let first = world.join()
        world.pass(50)
        #expect(world.joined[first]?.generation == 1)
        world.restart(fromSnapshot: fromSnapshot)
        #expect(world.state() == .empty)
        let second = world.join()
        world.pass(50)
        #expect(world.joined[second]?.generation == 2)
        world.leave(world.joined[second]?.memberID ?? "")
        world.restart(fromSnapshot: fromSnapshot)
        world.pass(600_000)
        #expect(world.coordinator.groups.isEmpty)
    }

    @Test func recordsMayBeAppliedTwice() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        world.commit(members[0], 1, offsets: [("t", 0, 1), ("t", 1, 2)])
        world.leave(members[0])
        world.join(W.joinRequest(member: members[1]))
        let snapshot = world.coordinator.snapshot()
        world.journal += world.journal
        world.restart()
        #expect(world.coordinator.snapshot() == snapshot)
        world.journal = snapshot + snapshot
        world.restart()
        #expect(world.coordinator.snapshot() == snapshot)
    }

    @Test func recordsOfAnAgreementWithoutSenseDoNoHarm() {
        var world = W()
        func member(_ id: String, _ instance: String?, _ protocols: [String]) -> GroupRecord.Member {
            GroupRecord.Member(
                memberID: id, instanceID: instance, clientID: "", clientHost: "", sessionTimeout: .max,
                rebalanceTimeout: -5, protocols: W.protocols(protocols), assignment: [])
        }
        world.journal = [
            .group(
                GroupRecord.Group(
                    group: "g", generation: .max, protocolType: nil, protocolName: nil, leader: "nobody",
                    members: [member("a", "i", []), member("a", "i", ["x"]), member("b", "i", ["y"])])),
            .offsetRemoved(group: "none", partition: GroupPartition(topic: "t", partition: 0)),
            .groupRemoved(group: "none"),
        ]
        world.restart()
        #expect(world.state() == .stable)
        world.leave("a")
        world.leave([.init(memberID: "b", instanceID: "i")])
        #expect(world.state() == .empty)
        let token = world.join()
        world.pass(50)
        // The numbers have run out; they begin anew rather than end the broker.
        #expect(world.joined[token]?.fault == GroupFault.none)
    }
}
