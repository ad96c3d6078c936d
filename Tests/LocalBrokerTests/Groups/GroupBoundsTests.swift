import TestSupport
import Testing

@testable import LocalBroker

@Suite struct GroupBoundsTests {
    typealias W = GroupWorld

    private static func metadata(_ count: Int, _ name: String = "range") -> [GroupProtocol] {
        [GroupProtocol(name: name, metadata: [UInt8](repeating: 0, count: count))]
    }

    private static func settings(_ change: (inout GroupCoordinator.Settings) -> Void) -> GroupCoordinator.Settings {
        var settings = GroupCoordinator.Settings()
        change(&settings)
        return settings
    }

    @Test func aMemberThatSaysTooMuchIsNotTaken() {
        var world = W()
        let token = world.join(W.joinRequest(protocols: Self.metadata(1 << 20)))
        #expect(world.joined[token]?.fault == .messageTooLarge)
        let names = (0..<10_000).map { GroupProtocol(name: "p\($0)", metadata: []) }
        let other = world.join(W.joinRequest(protocols: names))
        #expect(world.joined[other]?.fault == .messageTooLarge)
        #expect(world.coordinator.groups.isEmpty)
    }

    @Test func aFullGroupTakesNoMoreAndKeepsWhoIsIn() {
        var world = W(Self.settings { $0.maxGroupBytes = 10_000 })
        let (members, _) = world.stableGroup(2, protocols: Self.metadata(4_000))
        let late = world.join(W.joinRequest(protocols: Self.metadata(4_000)))
        #expect(world.joined[late]?.fault == .groupMaxSizeReached)
        #expect(world.state() == .stable)
        // One that is in may come again with as much or less, and not with more.
        for (size, fault) in [(4_000, GroupFault?.none), (9_000, .groupMaxSizeReached), (10, nil)] {
            let token = world.join(W.joinRequest(member: members[0], protocols: Self.metadata(size)))
            #expect(world.joined[token]?.fault == fault, "\(size)")
        }
        // Its own words again, to the last byte, are no growth.
        #expect(
            world.coordinator.groups["g"]?.members.values.allSatisfy { member in
                W.joinRequest(member: member.memberID, protocols: member.protocols).byteCount == member.byteCount
            } == true)
        world.leave(members[1])
        let next = world.join(W.joinRequest(protocols: Self.metadata(4_000)))
        world.pass(60_000)
        #expect(world.joined[next]?.fault == GroupFault.none)
    }

    @Test func allGroupsTogetherHoldSoMuch() {
        var world = W(Self.settings { $0.maxMemberBytesInAll = 12_000 })
        for group in ["a", "b"] { _ = world.stableGroup(1, group: group, protocols: Self.metadata(4_000)) }
        let late = world.join(W.joinRequest("c", protocols: Self.metadata(4_000)))
        #expect(world.joined[late]?.fault == .groupMaxSizeReached)
        let small = world.join(W.joinRequest("c", protocols: Self.metadata(10)))
        world.pass(1_000)
        #expect(world.joined[small]?.fault == GroupFault.none)
    }

    @Test func idsGivenOutCount() {
        var world = W(Self.settings { $0.maxMemberBytesInAll = 2_000 })
        var given: [String] = []
        while true {
            let answer = world.joined[world.join(W.joinRequest(twoStep: true))]
            guard answer?.fault == .memberIDRequired, let id = answer?.memberID else {
                #expect(answer?.fault == .groupMaxSizeReached)
                break
            }
            given.append(id)
        }
        #expect((1...10).contains(given.count))
        // They run out with their sessions.
        world.pass(20_000)
        #expect(world.coordinator.groups.memberBytes == 0)
    }

    @Test func anAssignmentThatIsTooLargeIsRefused() {
        var world = W(
            Self.settings {
                $0.maxAssignmentBytes = 1_000
                $0.maxGroupAssignmentBytes = 1_500
            })
        let tokens = [world.join(), world.join()]
        world.pass(1_000)
        let answers = tokens.compactMap { world.joined[$0] }
        let (leader, other) = (answers[0].memberID, answers[1].memberID)
        let waiting = world.sync(other, 1)
        for sizes in [[1_001, 0], [900, 900]] {
            let given = [leader: [UInt8](repeating: 1, count: sizes[0]), other: [UInt8](repeating: 1, count: sizes[1])]
            #expect(world.synced[world.sync(leader, 1, assign: given)]?.fault == .messageTooLarge)
            #expect(world.synced[waiting] == nil)
        }
        #expect(world.state() == .completingRebalance)
        let given = [leader: [UInt8](repeating: 1, count: 700), other: [UInt8](repeating: 2, count: 800)]
        #expect(world.synced[world.sync(leader, 1, assign: given)]?.fault == GroupFault.none)
        #expect(world.synced[waiting]?.assignment.count == 800)
    }

    /// A leader that can only hand in too much does not hold the others for ever.
    @Test func aLeaderThatIsRefusedLosesItsPlace() {
        var world = W(Self.settings { $0.maxAssignmentBytes = 10 })
        let tokens = [world.join(), world.join()]
        world.pass(1_000)
        let (leader, other) = (world.joined[tokens[0]]?.memberID ?? "", world.joined[tokens[1]]?.memberID ?? "")
        let waiting = world.sync(other, 1)
        world.sync(leader, 1, assign: [other: [UInt8](repeating: 1, count: 11)])
        world.pass(70_000)
        #expect(world.synced[waiting]?.fault == .rebalanceInProgress)
    }

    @Test func soManyGroupsAndNoMore() {
        var world = W(Self.settings { $0.maxGroups = 3 })
        _ = world.stableGroup(1, group: "a")
        for group in ["b", "c"] { #expect(world.commit(group: group) == [GroupFault.none]) }
        #expect(world.commit(group: "d") == [.invalidCommitOffsetSize])
        #expect(world.joined[world.join(W.joinRequest("d"))]?.fault == .groupMaxSizeReached)
        #expect(world.commit(group: "c") == [GroupFault.none])
        let late = world.join(W.joinRequest("c"))
        world.pass(1_000)
        #expect(world.joined[late]?.fault == GroupFault.none)
        let token = world.token()
        world.take(world.coordinator.deleteGroups(["b"], token, now: world.now))
        #expect(world.commit(group: "d") == [GroupFault.none])
        #expect(world.coordinator.groups.count == 3)
    }

    @Test func aGroupsNameHasAnEnd() {
        var world = W()
        let name = String(repeating: "n", count: 1_025)
        #expect(world.joined[world.join(W.joinRequest(name))]?.fault == .invalidGroupID)
        #expect(world.commit(group: name) == [.invalidGroupID])
        #expect(world.commit(group: String(name.dropLast())) == [GroupFault.none])
    }

    @Test func offsetsHaveAnEndAndThoseThatAreThereMayMove() {
        var world = W(Self.settings { $0.maxOffsetBytes = 2 * (GroupOffsets.overhead + 1) + 5 })
        #expect(
            world.commit(offsets: [("t", 0, 1), ("t", 1, 1), ("t", 2, 1)]) == [.none, .none, .invalidCommitOffsetSize])
        #expect(world.commit(group: "h") == [.invalidCommitOffsetSize])
        #expect(world.coordinator.groups.count == 1, "a group that could store nothing is nothing")
        #expect(world.commit(offsets: [("t", 0, 2), ("t", 1, 2)]) == [.none, .none])
        #expect(world.commit(offsets: [("t", 0, 3)], metadata: "12345") == [GroupFault.none])
        #expect(world.commit(offsets: [("t", 1, 3)], metadata: "1") == [.invalidCommitOffsetSize])
        #expect(world.offset("t", 1) == 2)
        world.coordinator.removeTopics(["t"], now: world.now)
        #expect(world.coordinator.groups.offsetBytes == 0)
        // What was refused was not written down either.
        #expect(world.journal.count == 5)
    }

    /// What a journal holds comes back whole, even if it is more than would be taken now.
    @Test func aRestartRefusesNothing() {
        var world = W()
        let (members, _) = world.stableGroup(3, protocols: Self.metadata(4_000))
        world.commit(members[0], 1)
        let journal = world.journal
        var coordinator = GroupCoordinator(
            settings: Self.settings {
                $0.maxGroupBytes = 1
                $0.maxMemberBytesInAll = 1
                $0.maxGroups = 0
                $0.maxOffsetBytes = 1
            })
        for record in journal { coordinator.restore(record) }
        coordinator.resume(now: 0)
        #expect(coordinator.groups["g"]?.members.count == 3)
        #expect(coordinator.groups["g"]?.offsets.all.count == 1)
        coordinator.groups.expectCountedRight("after a restart")
    }

    /// Whatever is asked, the bounds hold and the counts are right.
    @Test func nothingGoesOverItsBound() {
        let refused: Set<GroupFault> = TestDice.seeds(6).map(askAnything).reduce(into: []) { $0.formUnion($1) }
        // The bounds were reached; by one run alone one of them may not be.
        #expect(refused.isSuperset(of: [.groupMaxSizeReached, .messageTooLarge, .invalidCommitOffsetSize, .none]))
    }

    /// What came of 3000 requests by chance.
    private func askAnything(seed: UInt64) -> Set<GroupFault> {
        var random = TestDice(seed: seed)
        let settings = Self.settings {
            $0.maxGroups = 4
            $0.maxGroupSize = 5
            $0.maxAssignmentBytes = 1_200
            $0.maxGroupBytes = 8_000
            $0.maxGroupAssignmentBytes = 3_000
            $0.maxMemberBytesInAll = 15_000
            $0.maxOffsetBytes = 3_000
        }
        var world = W(settings, seed: seed)
        var refused: Set<GroupFault> = []
        func size(_ most: Int) -> Int { Int.random(in: 0...most, using: &random) }
        for _ in 0..<3_000 {
            let group = "g\(size(5))"
            let known = world.coordinator.groups[group]
            let member = known?.members.keys.sorted().randomElement(using: &random) ?? ""
            switch size(99) {
            case 0..<30:
                let id = random.chance(40) ? member : known?.pending.sorted().first ?? ""
                let token = world.join(
                    W.joinRequest(
                        group, member: random.chance(50) ? id : "", instance: random.chance(20) ? "i\(size(3))" : nil,
                        protocols: Self.metadata(size(4_000)), twoStep: random.chance(50)))
                if let fault = world.joined[token]?.fault { refused.insert(fault) }
            case 30..<50:
                let leader = known?.leader ?? ""
                let shares = (known?.members.keys.sorted() ?? []).map {
                    ($0, [UInt8](repeating: 1, count: size(1_500)))
                }
                let token = world.sync(
                    leader, known?.generation ?? 0, group: group,
                    assign: Dictionary(uniqueKeysWithValues: shares))
                if let fault = world.synced[token]?.fault { refused.insert(fault) }
            case 50..<70:
                let faults = world.commit(
                    known?.phase == .stable ? member : "", known?.phase == .stable ? known?.generation ?? -1 : -1,
                    group: group, offsets: (0...size(5)).map { ("t\(size(2))", Int32($0), 1) },
                    metadata: String(repeating: "m", count: size(300)))
                refused.formUnion(faults)
            case 70..<78: world.leave(member, group: group)
            case 78..<82:
                let token = world.token()
                world.take(world.coordinator.deleteGroups([group], token, now: world.now))
            case 82..<86: world.coordinator.removeTopics(["t\(size(2))"], now: world.now)
            case 86..<88: world.restart(fromSnapshot: true)
            default: world.pass(Int64(size(20_000)))
            }
            let groups = world.coordinator.groups
            groups.expectCountedRight("seed \(seed)")
            #expect(groups.count <= settings.maxGroups, "seed \(seed)")
            #expect(groups.memberBytes <= settings.maxMemberBytesInAll, "seed \(seed)")
            #expect(groups.offsetBytes <= settings.maxOffsetBytes, "seed \(seed)")
            for group in groups.values {
                #expect(group.saidBytes <= settings.maxGroupBytes, "seed \(seed)")
                #expect(group.assignmentBytes <= settings.maxGroupAssignmentBytes, "seed \(seed)")
            }
        }
        return refused
    }
}
