import Testing

@testable import LocalBroker

@Suite struct SyncGroupTests {
    typealias W = GroupWorld

    /// A group whose members have joined and not fetched yet.
    private func joined(_ world: inout GroupWorld, _ count: Int) -> [String] {
        let tokens = (0..<count).map { _ in world.join() }
        world.pass(200)
        return tokens.compactMap { world.joined[$0]?.memberID }
    }

    @Test func everybodyWaitsForTheLeader() {
        var world = W()
        let members = joined(&world, 3)
        let first = world.sync(members[1], 1)
        #expect(world.synced.isEmpty)
        let leader = world.sync(members[0], 1, assign: [members[0]: [0], members[1]: [1], "stranger": [9]])
        #expect(world.synced[first]?.assignment == [1])
        #expect(world.synced[leader]?.assignment == [0])
        #expect(world.state() == .stable)
        // Late, with nothing for it, and again: from what is agreed.
        let late = world.sync(members[2], 1)
        #expect(world.synced[late]?.fault == GroupFault.none)
        #expect(world.synced[late]?.assignment == [])
        let again = world.sync(members[1], 1, type: "consumer", name: "range")
        #expect(world.synced[again]?.assignment == [1])
        #expect(world.synced[again]?.protocolName == "range")
        #expect(world.synced[again]?.protocolType == "consumer")
    }

    @Test func theAgreementIsWrittenBeforeItIsTold() {
        var world = W()
        let members = joined(&world, 1)
        let generation = world.log.firstIndex { if case .persist(.generation) = $0 { true } else { false } }
        let answer = world.log.firstIndex { if case .joined = $0 { true } else { false } }
        #expect(generation.map { index in answer.map { index < $0 } } == true)
        world.sync(members[0], 1, assign: [members[0]: [7]])
        guard case .persist(.group(let written)) = world.log[world.log.count - 2] else {
            Issue.record("not written")
            return
        }
        #expect(written.generation == 1)
        #expect(written.leader == members[0])
        #expect(written.members.map(\.assignment) == [[7]])
        guard case .synced = world.log[world.log.count - 1] else {
            Issue.record("not told last")
            return
        }
    }

    @Test func faultyRequestsAreRefused() {
        var world = W()
        let members = joined(&world, 1)
        func fault(_ token: ReplyToken) -> GroupFault? { world.synced[token]?.fault }
        #expect(fault(world.sync("", 1, group: "")) == .invalidGroupID)
        #expect(fault(world.sync(members[0], 1, group: "other")) == .unknownMemberID)
        #expect(fault(world.sync("who", 1)) == .unknownMemberID)
        #expect(fault(world.sync(members[0], 2)) == .illegalGeneration)
        #expect(fault(world.sync(members[0], 1, instance: "i")) == .unknownMemberID)
        #expect(fault(world.sync(members[0], 1, type: "connect")) == .inconsistentGroupProtocol)
        #expect(fault(world.sync(members[0], 1, name: "sticky")) == .inconsistentGroupProtocol)
        #expect(world.state() == .completingRebalance)
        world.sync(members[0], 1)
        world.join()
        #expect(fault(world.sync(members[0], 1)) == .rebalanceInProgress)
    }

    @Test func aRoundThatBeginsEndsTheWait() {
        var world = W()
        let members = joined(&world, 2)
        let waiting = world.sync(members[1], 1)
        world.join()
        #expect(world.synced[waiting]?.fault == .rebalanceInProgress)
        #expect(world.state() == .preparingRebalance)
    }

    @Test func aSilentLeaderLosesItsPlace() {
        var world = W()
        let members = joined(&world, 2)
        let waiting = world.sync(members[1], 1)
        // The follower, whose request is held, is not expected to speak; the leader is.
        world.pass(10_000)
        #expect(world.synced[waiting]?.fault == .rebalanceInProgress)
        #expect(world.coordinator.groups["g"]?.members.keys.sorted() == [members[1]])
        let token = world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[token]?.leader == members[1])
    }

    @Test func whoDoesNotFetchInTimeIsOut() {
        var world = W()
        let members = joined(&world, 2)
        world.sync(members[0], 1)
        #expect(world.state() == .stable)
        // It shows that it lives but never asks what to do.
        for _ in 0..<12 {
            world.pass(4_990)
            #expect(world.heartbeat(members[0], 1) == .none)
            #expect(world.heartbeat(members[1], 1) == .none)
        }
        world.pass(120)
        #expect(world.heartbeat(members[0], 1) == .rebalanceInProgress)
        #expect(world.heartbeat(members[1], 1) == .unknownMemberID)
    }

    @Test func aRepeatedRequestTakesThePlaceOfTheFirst() {
        var world = W()
        let members = joined(&world, 2)
        let first = world.sync(members[1], 1)
        let second = world.sync(members[1], 1)
        #expect(world.synced[first]?.fault == .rebalanceInProgress)
        world.sync(members[0], 1, assign: [members[1]: [4]])
        #expect(world.synced[second]?.assignment == [4])
    }

    @Test func aConnectionThatBreaksDropsTheAnswer() {
        var world = W()
        let members = joined(&world, 2)
        let lost = world.sync(members[1], 1)
        world.coordinator.disconnected(lost, now: world.now)
        world.sync(members[0], 1, assign: [members[1]: [4]])
        #expect(world.synced[lost] == nil)
        let again = world.sync(members[1], 1)
        #expect(world.synced[again]?.assignment == [4])
    }
}
