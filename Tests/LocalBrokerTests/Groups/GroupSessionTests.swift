import Testing

@testable import LocalBroker

/// Heartbeats, sessions that end, and leaving.
@Suite struct GroupSessionTests {
    typealias W = GroupWorld
    typealias Leaving = GroupCoordinator.LeavingMember

    @Test func heartbeatsKeepAMember() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        world.pass(9_999)
        #expect(world.heartbeat(members[0], 1) == .none)
        for _ in 0..<4 {
            // The other one has been silent.
            world.pass(9_999)
            #expect(world.heartbeat(members[0], 1) == .rebalanceInProgress)
        }
        #expect(world.state() == .preparingRebalance)
        #expect(world.coordinator.groups["g"]?.members.keys.sorted() == [members[0]])
    }

    @Test func aHeartbeatOnTheLastMillisecondIsInTime() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        world.pass(9_999)
        #expect(world.heartbeat(members[0], 1) == .none)
        world.pass(9_999)
        #expect(world.state() == .stable)
        world.pass(1)
        #expect(world.state() == .empty)
        #expect(world.heartbeat(members[0], 1) == .unknownMemberID)
    }

    @Test func heartbeatsBeforeTheAssignmentCount() {
        var world = W()
        let token = world.join()
        world.pass(50)
        let member = world.joined[token]?.memberID ?? ""
        for _ in 0..<3 {
            world.pass(9_000)
            #expect(world.heartbeat(member, 1) == .none)
        }
        #expect(world.state() == .completingRebalance)
    }

    @Test func faultyHeartbeatsAreRefused() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        #expect(world.heartbeat(members[0], 1, group: "") == .invalidGroupID)
        #expect(world.heartbeat(members[0], 1, group: "other") == .unknownMemberID)
        #expect(world.heartbeat("who", 1) == .unknownMemberID)
        #expect(world.heartbeat(members[0], 0) == .illegalGeneration)
        #expect(world.heartbeat(members[0], 2) == .illegalGeneration)
        #expect(world.heartbeat(members[0], 1, instance: "i") == .unknownMemberID)
    }

    @Test func whoWaitsForOthersNeedNotSpeak() {
        var world = W()
        let (members, _) = world.stableGroup(2, session: 5_000)
        let waiting = world.join(W.joinRequest(member: members[0], session: 5_000))
        // It may: that is no promise to go on.
        #expect(world.heartbeat(members[0], 1) == .rebalanceInProgress)
        for _ in 0..<8 {
            world.pass(4_900)
            #expect(world.heartbeat(members[1], 1) == .rebalanceInProgress)
        }
        #expect(world.joined[waiting] == nil)
        #expect(world.coordinator.groups["g"]?.members.count == 2)
    }

    @Test func aMemberLeaves() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        #expect(world.leave(members[0]) == GroupFault.none)
        #expect(world.heartbeat(members[1], 1) == .rebalanceInProgress)
        let token = world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[token]?.generation == 2)
        #expect(world.joined[token]?.leader == members[1])
        world.sync(members[1], 2)
        #expect(world.leave(members[1]) == GroupFault.none)
        #expect(world.state() == .empty)
        // Its next generation is already a higher one.
        let next = world.join()
        world.pass(50)
        #expect(world.joined[next]?.generation == 4)
    }

    @Test func manyLeaveAtOnce() {
        var world = W()
        let (members, _) = world.stableGroup(4, instances: ["a", "b"])
        let answer = world.leave([
            Leaving(memberID: members[2], instanceID: nil),
            Leaving(memberID: "", instanceID: "a"),
            Leaving(memberID: members[3], instanceID: "b"),
            Leaving(memberID: "", instanceID: "nobody"),
            Leaving(memberID: "", instanceID: nil),
            Leaving(memberID: "who", instanceID: nil),
            Leaving(memberID: members[2], instanceID: nil),
        ])
        #expect(answer?.fault == GroupFault.none)
        #expect(
            answer?.members.map(\.fault) == [
                .none, .none, .fencedInstanceID, .unknownMemberID, .unknownMemberID, .unknownMemberID,
                .unknownMemberID,
            ])
        #expect(world.state() == .preparingRebalance)
        let stay = [members[1], members[3]].map { world.join(W.joinRequest(member: $0)) }
        #expect(stay.map { world.joined[$0]?.generation } == [2, 2])
    }

    @Test func leavingWhatIsNotThere() {
        var world = W()
        #expect(world.leave("who", group: "none") == .unknownMemberID)
        #expect(world.leave([Leaving(memberID: "who", instanceID: nil)], group: "")?.fault == .invalidGroupID)
        #expect(world.coordinator.groups.isEmpty)
    }

    @Test func theOwnerOfAnIDLeaves() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        let asked = world.join(W.joinRequest(twoStep: true))
        let id = world.joined[asked]?.memberID ?? ""
        let token = world.join(W.joinRequest(member: members[0]))
        #expect(world.joined[token] == nil)
        #expect(world.leave(id) == GroupFault.none)
        #expect(world.joined[token]?.generation == 2)
        // In a group that works it is not missed.
        world.sync(members[0], 2)
        let other = world.join(W.joinRequest(twoStep: true))
        #expect(world.leave(world.joined[other]?.memberID ?? "") == GroupFault.none)
        #expect(world.state() == .stable)
        world.join(W.joinRequest(session: 1_000, twoStep: true))
        world.pass(1_000)
        #expect(world.state() == .stable)
    }

    @Test func whoLeavesWhileItWaitsIsTold() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        let join = world.join(W.joinRequest(member: members[0]))
        world.leave(members[0])
        #expect(world.joined[join]?.fault == .unknownMemberID)
        let last = world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[last]?.generation == 2)

        var other = W()
        let tokens = [other.join(), other.join()]
        other.pass(200)
        let sync = other.sync(other.joined[tokens[1]]?.memberID ?? "", 1)
        other.leave(other.joined[tokens[1]]?.memberID ?? "")
        #expect(other.synced[sync]?.fault == .unknownMemberID)
    }

    @Test func aGroupThatIsNothingIsForgotten() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        world.leave(members[0])
        #expect(world.coordinator.list().map(\.group) == ["g"])
        world.pass(599_999)
        #expect(world.coordinator.list().map(\.group) == ["g"])
        world.pass(1)
        #expect(world.coordinator.list().isEmpty)
        #expect(world.journal.last == .groupRemoved(group: "g"))
        #expect(world.coordinator.nextDeadline == nil)
    }

    @Test func aGroupWithOffsetsIsNot() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        world.commit(members[0], 1)
        world.leave(members[0])
        world.pass(100_000_000)
        #expect(world.offset("t", 0) == 1)
        let next = world.join()
        world.pass(50)
        #expect(world.joined[next]?.generation == 3)
    }
}
