import Testing

@testable import LocalBroker

@Suite struct StaticMemberTests {
    typealias W = GroupWorld

    @Test func aRestartKeepsTheGenerationAndTheAssignment() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["a", "b"])
        let written = world.journal.count
        let token = world.join(W.joinRequest(instance: "b", canSkip: true))
        let answer = world.joined[token]
        let newID = answer?.memberID ?? ""
        #expect(newID != members[1] && newID.hasPrefix("b-"))
        #expect(answer?.generation == 1)
        #expect(answer?.leader == members[0])
        #expect(answer?.skipAssignment == false)
        #expect(world.state() == .stable)
        #expect(world.journal.count == written + 1)
        let sync = world.sync(newID, 1, instance: "b")
        #expect(world.synced[sync]?.assignment == Array(members[1].utf8))
        #expect(world.heartbeat(members[0], 1, instance: "a") == .none)
    }

    @Test func theOldOneIsFenced() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["a", "b"])
        world.join(W.joinRequest(instance: "b"))
        #expect(world.heartbeat(members[1], 1, instance: "b") == .fencedInstanceID)
        #expect(world.heartbeat(members[1], 1) == .unknownMemberID)
        let sync = world.sync(members[1], 1, instance: "b")
        #expect(world.synced[sync]?.fault == .fencedInstanceID)
        let join = world.join(W.joinRequest(member: members[1], instance: "b"))
        #expect(world.joined[join]?.fault == .fencedInstanceID)
        #expect(world.commit(members[1], 1, instance: "b") == [.fencedInstanceID])
        #expect(
            world.leave([.init(memberID: members[1], instanceID: "b")])?.members.map(\.fault) == [.fencedInstanceID])
        #expect(world.state() == .stable)
    }

    @Test func aLeaderThatComesBackAssignsNothing() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["a", "b"])
        let new = world.join(W.joinRequest(instance: "a", canSkip: true))
        let newID = world.joined[new]?.memberID ?? ""
        #expect(world.joined[new]?.leader == newID)
        #expect(world.joined[new]?.skipAssignment == true)
        #expect(world.joined[new]?.members.map(\.memberID) == [newID, members[1]])
        // An old client is told of a leader that it is not: the one it was.
        let old = world.join(W.joinRequest(instance: "a"))
        #expect(world.joined[old]?.leader == newID)
        #expect(world.joined[old]?.memberID != newID)
        #expect(world.joined[old]?.members == [])
        #expect(world.joined[old]?.skipAssignment == false)
        // It is the leader all the same: when it joins again, all share anew.
        world.join(W.joinRequest(member: world.joined[old]?.memberID ?? "", instance: "a"))
        #expect(world.state() == .preparingRebalance)
    }

    @Test func anotherProtocolMeansAnotherRound() {
        var world = W()
        let both = W.protocols(["range", "sticky"])
        _ = world.stableGroup(2, instances: ["a", "b"], protocols: both)
        let same = world.join(W.joinRequest(instance: "b", protocols: W.protocols(["range"])))
        #expect(world.joined[same]?.generation == 1)
        let other = world.join(W.joinRequest(instance: "b", protocols: W.protocols(["sticky"])))
        #expect(world.joined[other]?.fault == .inconsistentGroupProtocol)
        world.join(W.joinRequest(instance: "b", protocols: both))
        // Now each has a vote, and equals go by name; the next one tips it.
        let tip = world.join(W.joinRequest(instance: "a", protocols: W.protocols(["sticky"])))
        #expect(world.joined[tip] == nil)
        #expect(world.state() == .preparingRebalance)
    }

    @Test func aRestartBeforeTheAssignmentMeansAnotherRound() {
        var world = W()
        let tokens = ["a", "b"].map { world.join(W.joinRequest(instance: $0)) }
        world.pass(200)
        let members = tokens.compactMap { world.joined[$0]?.memberID }
        let waiting = world.sync(members[1], 1, instance: "b")
        let back = world.join(W.joinRequest(instance: "b"))
        #expect(world.synced[waiting]?.fault == .fencedInstanceID)
        #expect(world.state() == .preparingRebalance)
        world.join(W.joinRequest(member: members[0], instance: "a"))
        #expect(world.joined[back]?.generation == 2)
        #expect(world.joined[back]?.leader == members[0])
    }

    @Test func aRestartDoesNotExcuseFromFetching() {
        var world = W()
        let tokens = ["a", "b"].map { world.join(W.joinRequest(instance: $0, session: 100_000)) }
        world.pass(200)
        let members = tokens.compactMap { world.joined[$0]?.memberID }
        world.sync(members[0], 1, instance: "a")
        let back = world.join(W.joinRequest(instance: "b", session: 100_000))
        #expect(world.joined[back]?.generation == 1)
        world.pass(60_000)
        #expect(world.coordinator.groups["g"]?.members.keys.sorted() == [members[0]])
    }

    @Test func aRestartDuringTheRoundTakesThePlaceOfTheFirst() {
        var world = W()
        let first = world.join(W.joinRequest(instance: "a"))
        let second = world.join(W.joinRequest(instance: "a"))
        #expect(world.joined[first]?.fault == .fencedInstanceID)
        world.pass(200)
        #expect(world.joined[second]?.generation == 1)
        #expect(world.joined[second]?.members.count == 1)
        #expect(world.joined[second]?.leader == world.joined[second]?.memberID)
    }

    @Test func aStaticMemberKeepsItsPlaceUntilItsSessionEnds() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["a"], session: 100_000)
        let token = world.join(W.joinRequest(member: members[1], protocols: W.protocols(["range"], topics: ["u"])))
        world.pass(60_000)
        // The time to join is over. A dynamic member would be out; this one keeps its place, but not the lead.
        #expect(world.joined[token]?.generation == 2)
        #expect(world.joined[token]?.leader == members[1])
        #expect(world.joined[token]?.members.map(\.memberID) == members)
        // When it comes back the other one still leads.
        let back = world.join(W.joinRequest(member: members[0], instance: "a"))
        #expect(world.joined[back]?.leader == members[1])
        world.join(W.joinRequest(member: members[0], instance: "a", protocols: W.protocols(["range"], topics: ["v"])))
        let again = world.join(
            W.joinRequest(member: members[1], protocols: W.protocols(["range"], topics: ["u"])))
        #expect(world.joined[again]?.generation == 3)
        #expect(world.joined[again]?.leader == members[1])
    }

    @Test func aRoundThatNobodyJoinedGoesOn() {
        var world = W()
        let (members, _) = world.stableGroup(3, instances: ["a", "b"], session: 200_000)
        #expect(world.leave(members[2]) == GroupFault.none)
        world.pass(60_000)
        #expect(world.state() == .preparingRebalance)
        #expect(world.coordinator.groups["g"]?.members.keys.sorted() == members[0...1].sorted())
        let token = world.join(W.joinRequest(instance: "a", session: 200_000))
        world.pass(60_000)
        #expect(world.joined[token]?.generation == 2)
    }

    /// A rebalance timeout of nothing at all must not make the machine spin.
    @Test func sessionsOfRoundsThatNobodyJoinedEndToo() {
        var world = W()
        let (members, _) = world.stableGroup(3, instances: ["a", "b"])
        let back = ["a", "b"].map { world.join(W.joinRequest(instance: $0, rebalance: 0)) }
        #expect(back.map { world.joined[$0]?.generation } == [1, 1])
        world.leave(members[2])
        world.pass(9_999)
        #expect(world.state() == .preparingRebalance)
        #expect(world.coordinator.groups["g"]?.members.count == 2)
        world.pass(1)
        #expect(world.state() == .empty)
        #expect(world.coordinator.context.alarms.examined < 100)
    }

    @Test func anOperatorRemovesAStaticMember() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["a", "b"])
        #expect(world.leave([.init(memberID: "", instanceID: "b")])?.members.map(\.fault) == [GroupFault.none])
        #expect(world.heartbeat(members[1], 1, instance: "b") == .unknownMemberID)
        let token = world.join(W.joinRequest(member: members[0], instance: "a"))
        #expect(world.joined[token]?.members.map(\.memberID) == [members[0]])
    }

    @Test func anUnknownInstanceWithAnIDHasToBeginAnew() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        let token = world.join(W.joinRequest(member: members[0], instance: "x"))
        #expect(world.joined[token]?.fault == .unknownMemberID)
        let asked = world.join(W.joinRequest(twoStep: true))
        let odd = world.join(W.joinRequest(member: world.joined[asked]?.memberID ?? "", instance: "x"))
        #expect(world.joined[odd]?.fault == .unknownMemberID)
    }
}
