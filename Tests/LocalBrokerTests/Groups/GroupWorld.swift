import TestSupport
import Testing

@testable import LocalBroker

/// A coordinator, its clock and its journal, and what it has answered.
struct GroupWorld {
    typealias C = GroupCoordinator

    var coordinator: GroupCoordinator
    var now: Int64 = 1_000
    var journal: [GroupRecord] = []
    var joined: [ReplyToken: C.JoinAnswer] = [:]
    var synced: [ReplyToken: C.SyncAnswer] = [:]
    var left: [ReplyToken: C.LeaveAnswer] = [:]
    var committed: [ReplyToken: [C.PartitionAnswer]] = [:]
    var offsetsDeleted: [ReplyToken: C.OffsetDeleteAnswer] = [:]
    var groupsDeleted: [ReplyToken: [C.GroupAnswer]] = [:]
    /// All effects in their order.
    var log: [C.Effect] = []
    private var lastToken: UInt64 = 0

    init(_ settings: C.Settings = C.Settings(), seed: UInt64 = 1) {
        coordinator = GroupCoordinator(settings: settings, random: TestDice(seed: seed))
    }

    mutating func token() -> ReplyToken {
        lastToken += 1
        return ReplyToken(rawValue: lastToken)
    }

    mutating func take(_ effects: [C.Effect]) {
        for effect in effects {
            log.append(effect)
            switch effect {
            case .persist(let record): journal.append(record)
            case .joined(let token, let answer):
                #expect(joined.updateValue(answer, forKey: token) == nil, "\(token) was answered twice")
            case .synced(let token, let answer):
                #expect(synced.updateValue(answer, forKey: token) == nil, "\(token) was answered twice")
            case .left(let token, let answer): left[token] = answer
            case .committed(let token, let answer): committed[token] = answer
            case .offsetsDeleted(let token, let answer): offsetsDeleted[token] = answer
            case .groupsDeleted(let token, let answer): groupsDeleted[token] = answer
            }
        }
    }

    /// Lets time pass as the loop would: waking at every deadline on the way.
    mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        while let next = coordinator.nextDeadline, next <= end {
            now = max(now, next)
            take(coordinator.tick(now: now))
        }
        now = end
        take(coordinator.tick(now: now))
    }

    // MARK: Requests

    static func protocols(_ names: [String], topics: [String] = ["t"]) -> [GroupProtocol] {
        names.map { GroupProtocol(name: $0, metadata: subscription(topics)) }
    }

    /// A consumer's metadata, as clients write it in version 0.
    static func subscription(_ topics: [String]) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0, 0, 0, UInt8(topics.count)]
        for topic in topics { bytes += [0, UInt8(topic.utf8.count)] + Array(topic.utf8) }
        return bytes + [0xff, 0xff, 0xff, 0xff]
    }

    static func joinRequest(
        _ group: String = "g", member: String = "", instance: String? = nil, protocols: [GroupProtocol]? = nil,
        type: String = "consumer", session: Int32 = 10_000, rebalance: Int32 = 60_000, twoStep: Bool = false,
        canSkip: Bool = false
    ) -> C.JoinRequest {
        C.JoinRequest(
            group: group, memberID: member, instanceID: instance, clientID: "client", clientHost: "/127.0.0.1",
            sessionTimeout: session, rebalanceTimeout: rebalance, protocolType: type,
            protocols: protocols ?? Self.protocols(["range"]), requiresMemberID: twoStep, canSkipAssignment: canSkip)
    }

    @discardableResult
    mutating func join(_ request: C.JoinRequest = GroupWorld.joinRequest()) -> ReplyToken {
        let token = token()
        take(coordinator.join(request, token, now: now))
        return token
    }

    @discardableResult
    mutating func sync(
        _ member: String, _ generation: Int32, group: String = "g", instance: String? = nil,
        assign: [String: [UInt8]] = [:], type: String? = nil, name: String? = nil
    ) -> ReplyToken {
        let token = token()
        let request = C.SyncRequest(
            group: group, generation: generation, memberID: member, instanceID: instance, protocolType: type,
            protocolName: name,
            assignments: assign.sorted { $0.key < $1.key }
                .map { C.SyncRequest.Assignment(memberID: $0.key, assignment: $0.value) })
        take(coordinator.sync(request, token, now: now))
        return token
    }

    mutating func heartbeat(
        _ member: String, _ generation: Int32, group: String = "g", instance: String? = nil
    ) -> GroupFault {
        coordinator.heartbeat(
            C.HeartbeatRequest(group: group, generation: generation, memberID: member, instanceID: instance), now: now)
    }

    @discardableResult
    mutating func leave(_ members: [C.LeavingMember], group: String = "g") -> C.LeaveAnswer? {
        let token = token()
        take(coordinator.leave(group: group, members, token, now: now))
        return left[token]
    }

    @discardableResult
    mutating func leave(_ member: String, group: String = "g") -> GroupFault? {
        leave([C.LeavingMember(memberID: member, instanceID: nil)], group: group)?.members.first?.fault
    }

    @discardableResult
    mutating func commit(
        _ member: String = "", _ generation: Int32 = -1, group: String = "g", instance: String? = nil,
        offsets: [(String, Int32, Int64)] = [("t", 0, 1)], metadata: String = ""
    ) -> [GroupFault] {
        let token = token()
        let request = C.CommitRequest(
            group: group, generation: generation, memberID: member, instanceID: instance,
            commits: offsets.map {
                C.CommitRequest.Commit(
                    partition: GroupPartition(topic: $0.0, partition: $0.1),
                    offset: CommittedOffset(offset: $0.2, leaderEpoch: 0, metadata: metadata, committedAt: 5))
            })
        take(coordinator.commit(request, token, now: now))
        return (committed[token] ?? []).map(\.fault)
    }

    func offset(_ topic: String, _ partition: Int32, group: String = "g") -> Int64? {
        coordinator.fetch(group: group, [GroupPartition(topic: topic, partition: partition)])[0].committed?.offset
    }

    // MARK: Whole stories

    /// Joins `count` members and has the leader assign each its own id; the group is stable then. The leader is first.
    mutating func stableGroup(
        _ count: Int, group: String = "g", instances: [String] = [], session: Int32 = 10_000,
        protocols: [GroupProtocol]? = nil
    ) -> (members: [String], generation: Int32) {
        let tokens = (0..<count).map { index in
            join(
                Self.joinRequest(
                    group, instance: index < instances.count ? instances[index] : nil, protocols: protocols,
                    session: session))
        }
        while tokens.contains(where: { joined[$0] == nil }), let next = coordinator.nextDeadline {
            pass(max(0, next - now))
        }
        let answers = tokens.compactMap { joined[$0] }
        let members = answers.map(\.memberID)
        let generation = answers.first?.generation ?? -1
        let assignment = Dictionary(uniqueKeysWithValues: members.map { ($0, Array($0.utf8)) })
        for member in members.reversed() {
            sync(member, generation, group: group, assign: member == members.first ? assignment : [:])
        }
        #expect(state(group) == .stable)
        return (members, generation)
    }

    func state(_ group: String = "g") -> GroupState { coordinator.describe(group: group).state }

    /// The broker dies and comes back with what it had written.
    mutating func restart(fromSnapshot: Bool = false) {
        if fromSnapshot { journal = coordinator.snapshot() }
        let before = journal
        coordinator = GroupCoordinator(
            settings: coordinator.context.settings, random: TestDice(seed: UInt64(now) &+ lastToken))
        for record in before { coordinator.restore(record) }
        coordinator.resume(now: now)
    }
}
