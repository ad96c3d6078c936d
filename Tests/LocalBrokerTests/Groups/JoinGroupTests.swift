import Testing

@testable import LocalBroker

@Suite struct JoinGroupTests {
    typealias W = GroupWorld

    @Test func twoStepsGiveAnIDFirst() {
        var world = W()
        let first = world.join(W.joinRequest(twoStep: true))
        let id = world.joined[first]?.memberID ?? ""
        #expect(world.joined[first]?.fault == .memberIDRequired)
        #expect(id.hasPrefix("client-"))
        #expect(id.count == "client-".count + 36)
        #expect(world.state() == .empty)

        let second = world.join(W.joinRequest(member: id, twoStep: true))
        #expect(world.joined[second] == nil)
        #expect(world.state() == .preparingRebalance)
        world.pass(50)
        let answer = world.joined[second]
        #expect(answer?.fault == GroupFault.none)
        #expect(answer?.generation == 1)
        #expect(answer?.leader == id)
        #expect(answer?.memberID == id)
        #expect(answer?.protocolType == "consumer")
        #expect(answer?.protocolName == "range")
        #expect(
            answer?.members == [.init(memberID: id, instanceID: nil, metadata: W.subscription(["t"]))])
        #expect(world.state() == .completingRebalance)
    }

    @Test func anIDThatIsNeverUsedExpires() {
        var world = W()
        let first = world.join(W.joinRequest(session: 10_000, twoStep: true))
        let id = world.joined[first]?.memberID ?? ""
        world.pass(9_999)
        #expect(world.coordinator.groups["g"]?.pending == [id])
        world.pass(1)
        #expect(world.coordinator.groups.isEmpty)
        #expect(world.coordinator.nextDeadline == nil)
        let late = world.join(W.joinRequest(member: id, twoStep: true))
        #expect(world.joined[late]?.fault == .unknownMemberID)
    }

    @Test func anEmptyGroupGathersMembers() {
        var world = W()
        let first = world.join()
        world.pass(40)
        let second = world.join()
        // Somebody came during the wait: it is drawn out once more.
        world.pass(10)
        #expect(world.joined.isEmpty)
        world.pass(49)
        #expect(world.joined.isEmpty)
        world.pass(1)
        #expect(world.joined[first]?.generation == 1)
        #expect(world.joined[second]?.generation == 1)
        #expect(world.joined[first]?.members.count == 2)
        #expect(world.joined[second]?.members == [])
        #expect(world.joined[second]?.leader == world.joined[first]?.memberID)
    }

    @Test func theInitialWaitEndsWithTheRebalanceTimeout() {
        var world = W()
        let first = world.join(W.joinRequest(rebalance: 120))
        for _ in 0..<3 {
            world.pass(39)
            #expect(world.joined[first] == nil)
            world.join(W.joinRequest(rebalance: 120))
        }
        world.pass(3)
        #expect(world.joined[first]?.members.count == 4)
    }

    @Test func faultyRequestsAreRefused() {
        var world = W()
        func fault(_ request: GroupCoordinator.JoinRequest) -> GroupFault? {
            let token = world.join(request)
            return world.joined[token]?.fault
        }
        #expect(fault(W.joinRequest("")) == .invalidGroupID)
        #expect(fault(W.joinRequest(session: 999)) == .invalidSessionTimeout)
        #expect(fault(W.joinRequest(session: 1_800_001)) == .invalidSessionTimeout)
        #expect(fault(W.joinRequest(member: "who")) == .unknownMemberID)
        #expect(fault(W.joinRequest(protocols: [])) == .inconsistentGroupProtocol)
        #expect(fault(W.joinRequest(type: "")) == .inconsistentGroupProtocol)
        #expect(world.coordinator.groups.isEmpty)
        _ = world.stableGroup(1)
        #expect(fault(W.joinRequest(member: "who")) == .unknownMemberID)
        #expect(fault(W.joinRequest(type: "connect")) == .inconsistentGroupProtocol)
        #expect(fault(W.joinRequest(protocols: W.protocols(["sticky"]))) == .inconsistentGroupProtocol)
        #expect(world.state() == .stable)
    }

    @Test func theProtocolThatAllSpeakAndMostPreferWins() {
        var world = W()
        let votes = [["a", "b", "c"], ["b", "a"], ["c", "b", "a"], ["b", "a"]]
        let tokens = votes.map { world.join(W.joinRequest(protocols: W.protocols($0))) }
        world.pass(200)
        // c is spoken by two only; a has one vote, and b three: its own two and that of the one who likes c best.
        #expect(tokens.map { world.joined[$0]?.protocolName } == ["b", "b", "b", "b"])
    }

    @Test func aProtocolNamedTwiceCountsOnce() {
        var world = W()
        let first = world.join(W.joinRequest(protocols: W.protocols(["a", "b"])))
        world.join(W.joinRequest(protocols: W.protocols(["a", "a"])))
        world.pass(200)
        #expect(world.joined[first]?.protocolName == "a")
        let other = world.join(W.joinRequest(protocols: W.protocols(["b"])))
        #expect(world.joined[other]?.fault == .inconsistentGroupProtocol)
    }

    @Test func aNewMemberCallsTheOthersBack() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        let newcomer = world.join()
        #expect(world.state() == .preparingRebalance)
        #expect(world.heartbeat(members[0], 1) == .rebalanceInProgress)
        let first = world.join(W.joinRequest(member: members[0]))
        #expect(world.joined[first] == nil)
        let second = world.join(W.joinRequest(member: members[1]))
        // With the last of them the round is over, without any wait.
        #expect([newcomer, first, second].map { world.joined[$0]?.generation } == [2, 2, 2])
        #expect(world.joined[first]?.leader == members[0])
        #expect(world.joined[first]?.members.count == 3)
    }

    @Test func whoDoesNotJoinInTimeIsOut() {
        var world = W()
        let (members, _) = world.stableGroup(3, session: 1_000_000)
        let tokens = members[1...].map {
            world.join(W.joinRequest(member: $0, protocols: W.protocols(["range", "x"])))
        }
        world.pass(59_999)
        #expect(tokens.map { world.joined[$0] } == [nil, nil])
        world.pass(1)
        #expect(tokens.map { world.joined[$0]?.generation } == [2, 2])
        // The leader was the one that did not come.
        #expect(world.joined[tokens[0]]?.leader == members[1])
        #expect(world.joined[tokens[0]]?.members.map(\.memberID) == Array(members[1...]))
        #expect(world.heartbeat(members[0], 2) == .unknownMemberID)
    }

    @Test func theSlowestMembersTimeoutHolds() {
        var world = W()
        let slow = world.join(W.joinRequest(session: 100_000, rebalance: 90_000))
        let fast = world.join(W.joinRequest(session: 100_000, rebalance: 5_000))
        world.pass(200)
        let members = [slow, fast].compactMap { world.joined[$0]?.memberID }
        world.sync(members[0], 1)
        world.sync(members[1], 1)
        let token = world.join(W.joinRequest(member: members[0], session: 100_000, rebalance: 90_000))
        world.pass(89_999)
        #expect(world.joined[token] == nil)
        world.pass(1)
        #expect(world.joined[token]?.generation == 2)
    }

    @Test func aFollowerThatMissedTheAnswerGetsItAgain() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        let follower = world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[follower]?.generation == 1)
        #expect(world.joined[follower]?.members == [])
        #expect(world.state() == .stable)
        // The leader's wish to join is a wish to share anew; so is a follower's other subscription.
        world.join(W.joinRequest(member: members[0]))
        #expect(world.state() == .preparingRebalance)

        var other = W()
        let (others, _) = other.stableGroup(2)
        other.join(W.joinRequest(member: others[1], protocols: W.protocols(["range"], topics: ["t", "u"])))
        #expect(other.state() == .preparingRebalance)
    }

    @Test func beforeTheAssignmentARepeatedJoinIsAnsweredFromWhatIsKnown() {
        var world = W()
        let tokens = [world.join(), world.join()]
        world.pass(200)
        let members = tokens.compactMap { world.joined[$0]?.memberID }
        let again = members.map { world.join(W.joinRequest(member: $0)) }
        #expect(again.map { world.joined[$0]?.generation } == [1, 1])
        #expect(again.map { world.joined[$0]?.members.count } == [2, 0])
        #expect(world.state() == .completingRebalance)
        let follower = world.sync(members[1], 1)
        world.join(W.joinRequest(member: members[0], protocols: W.protocols(["range"], topics: ["u"])))
        #expect(world.state() == .preparingRebalance)
        #expect(world.synced[follower]?.fault == .rebalanceInProgress)
    }

    @Test func aRepeatedRequestTakesThePlaceOfTheFirst() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        let first = world.join(W.joinRequest(member: members[0]))
        let second = world.join(W.joinRequest(member: members[0]))
        #expect(world.joined[first]?.fault == .rebalanceInProgress)
        #expect(world.joined[second] == nil)
        world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[second]?.generation == 2)
    }

    @Test func aFullGroupTakesNobody() {
        var settings = GroupCoordinator.Settings()
        settings.maxGroupSize = 2
        var world = W(settings)
        let (members, _) = world.stableGroup(2, instances: ["i"])
        func fault(_ request: GroupCoordinator.JoinRequest) -> GroupFault? {
            let token = world.join(request)
            return world.joined[token]?.fault
        }
        #expect(fault(W.joinRequest()) == .groupMaxSizeReached)
        #expect(fault(W.joinRequest(twoStep: true)) == .groupMaxSizeReached)
        #expect(fault(W.joinRequest(instance: "j")) == .groupMaxSizeReached)
        #expect(fault(W.joinRequest(instance: "i")) == GroupFault.none)
        #expect(world.state() == .stable)
        #expect(fault(W.joinRequest(member: members[1])) == GroupFault.none)
    }

    @Test func idsThatAreAskedForAndNotUsedAreBounded() {
        var settings = GroupCoordinator.Settings()
        settings.maxGroupSize = 3
        var world = W(settings)
        let tokens = (0..<5).map { _ in world.join(W.joinRequest(twoStep: true)) }
        let required = GroupFault.memberIDRequired
        #expect(
            tokens.map { world.joined[$0]?.fault }
                == [required, required, required, .groupMaxSizeReached, .groupMaxSizeReached])
        // Those that have one are let in.
        let members = tokens.prefix(3).compactMap { world.joined[$0]?.memberID }
        let joins = members.map { world.join(W.joinRequest(member: $0, twoStep: true)) }
        world.pass(200)
        #expect(joins.map { world.joined[$0]?.generation } == [1, 1, 1])
    }

    @Test func whoIsRefusedForLackOfRoomIsNotWaitedFor() {
        var settings = GroupCoordinator.Settings()
        settings.maxGroupSize = 1
        var world = W(settings)
        let asked = [world.join(W.joinRequest(twoStep: true)), world.join(W.joinRequest(twoStep: true))]
        #expect(world.joined[asked[1]]?.fault == .groupMaxSizeReached)
        let member = world.joined[asked[0]]?.memberID ?? ""
        world.join(W.joinRequest(member: member, twoStep: true))
        world.pass(50)
        let late = world.join(W.joinRequest(twoStep: true))
        #expect(world.joined[late]?.fault == .groupMaxSizeReached)

        // One that was given an id while there was room finds it taken, and the round ends without it.
        var other = W(settings)
        let first = other.join(W.joinRequest(twoStep: true))
        let taker = other.join(W.joinRequest(instance: "i"))
        other.pass(50)
        let takerID = other.joined[taker]?.memberID ?? ""
        let again = other.join(W.joinRequest(member: takerID, instance: "i", protocols: W.protocols(["range", "x"])))
        #expect(other.joined[again] == nil)
        let refused = other.join(W.joinRequest(member: other.joined[first]?.memberID ?? "", twoStep: true))
        #expect(other.joined[refused]?.fault == .groupMaxSizeReached)
        #expect(other.joined[again]?.generation == 2)
    }

    @Test func theOwnerOfAnIDIsWaitedFor() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        let asked = world.join(W.joinRequest(session: 5_000, twoStep: true))
        // To know an id is not to take part.
        #expect(world.state() == .stable)
        let leader = world.join(W.joinRequest(member: members[0]))
        #expect(world.joined[leader] == nil)
        let newcomer = world.join(W.joinRequest(member: world.joined[asked]?.memberID ?? "", twoStep: true))
        #expect(world.joined[leader]?.members.count == 2)
        #expect(world.joined[newcomer]?.generation == 2)
    }

    @Test func aConnectionThatBreaksDropsTheAnswerButNotTheMember() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        let lost = world.join(W.joinRequest(member: members[0]))
        world.coordinator.disconnected(lost, now: world.now)
        let token = world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[token]?.generation == 2)
        #expect(world.joined[lost] == nil)
        #expect(world.coordinator.groups["g"]?.members[members[0]] != nil)
        // It never comes back, and its session ends.
        world.pass(10_000)
        #expect(world.coordinator.groups["g"]?.members[members[0]] == nil)
        #expect(world.joined[lost] == nil)
    }

    @Test func aFirstJoinIsNotHeldForEver() {
        var settings = GroupCoordinator.Settings()
        settings.newMemberJoinTimeout = 20_000
        var world = W(settings)
        let (members, _) = world.stableGroup(1, session: 1_000_000)
        let token = world.join(W.joinRequest(session: 1_000_000, rebalance: 60_000))
        world.pass(19_999)
        #expect(world.joined[token] == nil)
        world.pass(1)
        #expect(world.joined[token]?.fault == .unknownMemberID)
        #expect(world.coordinator.groups["g"]?.members.keys.sorted() == members)
    }
}
