import Testing

@testable import LocalBroker

@Suite struct GroupAdminTests {
    typealias W = GroupWorld

    private func delete(_ world: inout GroupWorld, _ groups: [String]) -> [GroupFault]? {
        let token = world.token()
        world.take(world.coordinator.deleteGroups(groups, token, now: world.now))
        return world.groupsDeleted[token]?.map(\.fault)
    }

    @Test func listsByState() {
        var world = W()
        world.commit(group: "a")
        _ = world.stableGroup(1, group: "b")
        world.join(W.joinRequest("c", type: "connect"))
        #expect(
            world.coordinator.list() == [
                .init(group: "a", protocolType: "", state: .empty),
                .init(group: "b", protocolType: "consumer", state: .stable),
                .init(group: "c", protocolType: "connect", state: .preparingRebalance),
            ])
        #expect(world.coordinator.list(states: [.stable, .dead]).map(\.group) == ["b"])
        #expect(world.coordinator.list(states: []).isEmpty)
    }

    @Test func describesWhatIsAgreed() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["i"])
        let stable = world.coordinator.describe(group: "g")
        #expect(stable.state == .stable)
        #expect(stable.protocolType == "consumer")
        #expect(stable.protocolName == "range")
        #expect(stable.members.map(\.memberID) == members)
        #expect(stable.members.map(\.instanceID) == ["i", nil])
        #expect(stable.members.map(\.assignment) == members.map { Array($0.utf8) })
        #expect(stable.members.map(\.metadata) == [W.subscription(["t"]), W.subscription(["t"])])
        #expect(stable.members[0].clientID == "client")
        #expect(stable.members[0].clientHost == "/127.0.0.1")

        world.join()
        let unsettled = world.coordinator.describe(group: "g")
        #expect(unsettled.state == .preparingRebalance)
        #expect(unsettled.protocolName == "")
        #expect(unsettled.members.count == 3)
        #expect(unsettled.members.allSatisfy { $0.metadata.isEmpty && $0.assignment.isEmpty })
        #expect(world.coordinator.describe(group: "none").state == .dead)
    }

    @Test func deletesEmptyGroups() {
        var world = W()
        world.commit(group: "a")
        let (members, _) = world.stableGroup(1, group: "b")
        let (others, _) = world.stableGroup(1, group: "c")
        world.leave(others[0], group: "c")
        let asked = world.join(W.joinRequest("c", twoStep: true))
        #expect(
            delete(&world, ["a", "b", "c", "d", "a"]) == [
                .none, .nonEmptyGroup, .none, .groupIDNotFound, .groupIDNotFound,
            ])
        #expect(world.coordinator.list().map(\.group) == ["b"])
        let late = world.join(W.joinRequest("c", member: world.joined[asked]?.memberID ?? "", twoStep: true))
        #expect(world.joined[late]?.fault == .unknownMemberID)
        world.restart()
        #expect(world.coordinator.list().map(\.group) == ["b"])
        world.leave(members[0], group: "b")
        world.pass(1_000_000)
        #expect(world.coordinator.nextDeadline == nil)
    }

    @Test func refusalsKeepTheFormOfTheAnswer() {
        typealias Effect = GroupCoordinator.Effect
        let token = ReplyToken(rawValue: 1)
        let partition = GroupPartition(topic: "t", partition: 0)
        let fault = GroupFault.coordinatorNotAvailable
        let joined = GroupCoordinator.JoinAnswer(
            fault: .none, generation: 1, protocolType: "c", protocolName: "r", leader: "a", memberID: "a",
            skipAssignment: false, members: [])
        #expect(Effect.joined(token, joined).failed(fault) == .joined(token, .refusal(fault, memberID: "a")))
        #expect(
            Effect.synced(
                token, .init(fault: .none, protocolType: nil, protocolName: nil, assignment: [1])
            ).failed(fault) == .synced(token, .refusal(fault)))
        #expect(
            Effect.left(token, .init(fault: .none, members: [])).failed(fault)
                == .left(token, .init(fault: fault, members: [])))
        #expect(
            Effect.committed(token, [.init(partition: partition, fault: .none)]).failed(fault)
                == .committed(token, [.init(partition: partition, fault: fault)]))
        #expect(
            Effect.offsetsDeleted(token, .init(fault: .none, partitions: [])).failed(fault)
                == .offsetsDeleted(token, .init(fault: fault, partitions: [])))
        #expect(
            Effect.groupsDeleted(token, [.init(group: "g", fault: .none)]).failed(fault)
                == .groupsDeleted(token, [.init(group: "g", fault: fault)]))
        #expect(Effect.persist(.groupRemoved(group: "g")).failed(fault) == .persist(.groupRemoved(group: "g")))
    }
}
