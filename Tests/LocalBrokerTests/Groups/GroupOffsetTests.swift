import Testing

@testable import LocalBroker

@Suite struct GroupOffsetTests {
    typealias W = GroupWorld

    private func partition(_ topic: String, _ number: Int32) -> GroupPartition {
        GroupPartition(topic: topic, partition: number)
    }

    private func delete(
        _ world: inout GroupWorld, _ partitions: [GroupPartition], group: String = "g"
    ) -> GroupCoordinator.OffsetDeleteAnswer? {
        let token = world.token()
        world.take(world.coordinator.deleteOffsets(group: group, partitions, token, now: world.now))
        return world.offsetsDeleted[token]
    }

    @Test func oneThatOnlyStoresOffsetsMayWhileNobodyWorks() {
        var world = W()
        #expect(world.commit(offsets: [("t", 0, 5), ("t", 1, 6)]) == [.none, .none])
        #expect(world.state() == .empty)
        #expect(world.offset("t", 0) == 5)
        #expect(world.coordinator.list().first?.protocolType == "")
        // A group without a name is an old client's, and allowed.
        #expect(world.commit(group: "") == [GroupFault.none])
        let (members, _) = world.stableGroup(1)
        #expect(world.commit(offsets: [("t", 0, 0)]) == [.unknownMemberID])
        #expect(world.offset("t", 0) == 5)
        world.leave(members[0])
        #expect(world.commit(offsets: [("t", 0, 0)]) == [GroupFault.none])
        #expect(world.offset("t", 0) == 0)
    }

    @Test func membersCommitInTheirGeneration() {
        var world = W()
        let (members, _) = world.stableGroup(2, instances: ["i"])
        #expect(world.commit(members[1], 1) == [GroupFault.none])
        #expect(world.commit(members[0], 1, instance: "i") == [GroupFault.none])
        #expect(world.commit("who", 1) == [.unknownMemberID])
        #expect(world.commit("", 1) == [.unknownMemberID])
        #expect(world.commit(members[1], 0) == [.illegalGeneration])
        #expect(world.commit(members[1], -1) == [.illegalGeneration])
        #expect(world.commit(members[1], 1, instance: "i") == [.fencedInstanceID])
        #expect(world.commit(members[1], 1, group: "other") == [.illegalGeneration])
        #expect(world.coordinator.describe(group: "other").state == .dead)
    }

    @Test func commitsDuringARound() {
        var world = W()
        let (members, _) = world.stableGroup(2)
        let tokens = [world.join(W.joinRequest(member: members[0]))]
        // Before it joins again a member may say how far it came.
        #expect(world.commit(members[1], 1, offsets: [("t", 0, 7)]) == [GroupFault.none])
        world.join(W.joinRequest(member: members[1]))
        #expect(world.joined[tokens[0]]?.generation == 2)
        #expect(world.commit(members[1], 1) == [.illegalGeneration])
        // What it will be given it cannot have read.
        #expect(world.commit(members[1], 2) == [.rebalanceInProgress])
        #expect(world.offset("t", 0) == 7)
    }

    @Test func aCommitShowsThatAMemberLives() {
        var world = W()
        let (members, _) = world.stableGroup(1)
        for _ in 0..<5 {
            world.pass(9_000)
            #expect(world.commit(members[0], 1) == [GroupFault.none])
        }
        #expect(world.state() == .stable)
        world.pass(10_000)
        #expect(world.state() == .empty)
    }

    @Test func longMetadataIsRefusedForItsPartitionAlone() {
        var world = W()
        #expect(world.commit(metadata: String(repeating: "ü", count: 2_048)) == [GroupFault.none])
        #expect(
            world.commit(offsets: [("t", 0, 9)], metadata: String(repeating: "ü", count: 2_048) + "!")
                == [.offsetMetadataTooLarge])
        #expect(world.offset("t", 0) == 1)
        let fetched = world.coordinator.fetch(group: "g", [partition("t", 0)])
        #expect(fetched[0].committed?.metadata.utf8.count == 4_096)

        // Alone in a new group it leaves nothing behind.
        #expect(
            world.commit(group: "new", metadata: String(repeating: "x", count: 5_000))
                == [.offsetMetadataTooLarge])
        #expect(world.coordinator.groups["new"] == nil)
    }

    @Test func fetchesWhatIsAskedOrAll() {
        var world = W()
        world.commit(offsets: [("u", 2, 5), ("t", 10, 6), ("t", 9, 7)])
        let fetched = world.coordinator.fetch(group: "g", [partition("u", 2), partition("u", 3), partition("x", 0)])
        #expect(fetched.map(\.committed?.offset) == [5, nil, nil])
        #expect(fetched.map(\.partition) == [partition("u", 2), partition("u", 3), partition("x", 0)])
        #expect(
            world.coordinator.fetchAll(group: "g").map(\.partition)
                == [partition("t", 9), partition("t", 10), partition("u", 2)])
        #expect(world.coordinator.fetchAll(group: "none").isEmpty)
        #expect(world.coordinator.fetch(group: "none", [partition("t", 9)])[0].committed == nil)
    }

    @Test func commitsAreWrittenBeforeTheyAreAnswered() {
        var world = W()
        world.commit(offsets: [("t", 0, 5), ("t", 1, 6)])
        let kinds = world.log.map {
            switch $0 {
            case .persist(.offset): "offset"
            case .committed: "answer"
            default: "other"
            }
        }
        #expect(kinds == ["offset", "offset", "answer"])
    }

    @Test func offsetsOfWhatNobodyReadsAreDeleted() {
        var world = W()
        world.commit(offsets: [("t", 0, 5), ("u", 0, 6), ("u", 1, 7)])
        let (members, _) = world.stableGroup(2)
        let answer = delete(&world, [partition("t", 0), partition("u", 0), partition("u", 9)])
        #expect(answer?.fault == GroupFault.none)
        #expect(answer?.partitions.map(\.fault) == [.groupSubscribedToTopic, .none, .none])
        #expect(world.offset("u", 0) == nil)
        #expect(world.offset("t", 0) == 5)
        #expect(world.journal.last == .offsetRemoved(group: "g", partition: partition("u", 0)))
        for member in members { world.leave(member) }
        #expect(delete(&world, [partition("t", 0)])?.partitions.map(\.fault) == [GroupFault.none])
        #expect(delete(&world, [], group: "none")?.fault == .groupIDNotFound)
        #expect(delete(&world, [], group: "")?.fault == .invalidGroupID)
    }

    @Test func whatAGroupReadsMayBeUnknown() {
        var world = W()
        world.commit(offsets: [("t", 0, 5)])
        _ = world.stableGroup(1, protocols: [GroupProtocol(name: "odd", metadata: [0, 0, 0])])
        #expect(delete(&world, [partition("t", 0)])?.partitions.map(\.fault) == [.groupSubscribedToTopic])

        world.commit(group: "c", offsets: [("t", 0, 5)])
        world.join(W.joinRequest("c", type: "connect"))
        #expect(delete(&world, [partition("t", 0)], group: "c")?.fault == .nonEmptyGroup)
    }

    @Test func aGroupThatHadOnlyOffsetsGoesWithTheLast() {
        var world = W()
        world.commit(offsets: [("t", 0, 5)])
        #expect(delete(&world, [partition("t", 0)])?.fault == GroupFault.none)
        #expect(world.coordinator.groups.isEmpty)
    }

    @Test func aDeletedTopicTakesItsOffsetsAlong() {
        var world = W()
        world.commit(group: "a", offsets: [("t", 0, 5), ("u", 0, 6)])
        world.commit(group: "b", offsets: [("t", 1, 5)])
        let (members, _) = world.stableGroup(1, group: "c")
        world.commit(members[0], 1, group: "c", offsets: [("t", 3, 5)])
        world.coordinator.removeTopics(["t"], now: world.now)
        #expect(world.offset("t", 0, group: "a") == nil)
        #expect(world.offset("u", 0, group: "a") == 6)
        #expect(world.coordinator.groups["b"] == nil)
        #expect(world.state("c") == .stable)
        world.restart(fromSnapshot: true)
        #expect(world.coordinator.fetchAll(group: "a").map(\.partition) == [partition("u", 0)])
        #expect(world.coordinator.groups["b"] == nil)
    }

    /// The journal says nothing of the offsets: that the topic was deleted stands among its records.
    @Test func aDeletedTopicsOffsetsDoNotComeBack() {
        var world = W()
        world.commit(group: "a", offsets: [("t", 0, 5), ("u", 0, 6)])
        let before = world.journal
        world.coordinator.removeTopics(["t"], now: world.now)
        world.commit(group: "a", offsets: [("t", 1, 7)])
        var coordinator = GroupCoordinator()
        for record in before { coordinator.restore(record) }
        coordinator.restore(removalOf: "t")
        for record in world.journal[before.count...] { coordinator.restore(record) }
        coordinator.resume(now: 0)
        #expect(coordinator.fetchAll(group: "a").map(\.partition) == [partition("t", 1), partition("u", 0)])
        #expect(coordinator.snapshot() == world.coordinator.snapshot())
    }

    /// To read all names at each request would let a group with many hold up everybody.
    @Test func aGroupThatNamesTooMuchKeepsItsOffsets() {
        var world = W()
        func metadata(_ names: Int) -> [UInt8] {
            [0, 0] + RecordBatchBuilder.integer(Int32(names)) + [UInt8](repeating: 0, count: 2 * names)
        }
        for (names, fault) in [(100_000, GroupFault.none), (100_001, .groupSubscribedToTopic)] {
            let group = "g\(names)"
            let protocols = ["a", "b"].map { GroupProtocol(name: $0, metadata: metadata(names)) }
            let (members, _) = world.stableGroup(1, group: group, protocols: protocols)
            world.commit(members[0], 1, group: group)
            #expect(delete(&world, [partition("t", 0)], group: group)?.partitions.map(\.fault) == [fault])
        }
    }

    @Test(
        arguments: [
            ([0, 0, 0, 0, 0, 1, 0, 1, 0x74], ["t"]),
            ([0, 3, 0, 0, 0, 2, 0, 1, 0x74, 0, 0, 0xff, 0xff], ["t", ""]),
            ([0, 0, 0, 0, 0, 0], []),
            ([], nil),
            ([0, 0, 0, 0, 0, 1], nil),
            ([0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1, 0x74], nil),
            ([0, 0, 0xff, 0xff, 0xff, 0xff], nil),
            ([0, 0, 0, 0, 0, 1, 0xff, 0xff], nil),
            ([0, 0, 0, 0, 0, 1, 0, 2, 0x74], nil),
            ([0, 0, 0, 0, 0, 1, 0, 1, 0xff], nil),
        ] as [([UInt8], Set<String>?)])
    func readsSubscriptions(metadata: [UInt8], topics: Set<String>?) {
        #expect(ConsumerSubscription.topics(in: metadata) == topics)
        if let topics { #expect(ConsumerSubscription.claimedCount(in: metadata) == topics.count) }
    }
}
