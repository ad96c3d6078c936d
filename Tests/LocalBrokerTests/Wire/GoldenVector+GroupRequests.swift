@testable import LocalBroker

extension GoldenVector {
    private var isFull: Bool { variant == "full" }

    var expectedGroupRequest: Request? {
        switch api {
        case .offsetCommit: .offsetCommit(offsetCommit)
        case .offsetFetch:
            .offsetFetch(
                .init(
                    group: "billing",
                    topics: variant == "all" ? nil : isFull ? [.init(name: "orders", partitions: [0, 7])] : [],
                    requiresStable: isFull && version >= 7))
        case .findCoordinator:
            .findCoordinator(
                isFull ? .init(key: "tx", kind: since(1, .transaction, .group)) : .init(key: "", kind: .group))
        case .joinGroup: .joinGroup(joinGroup)
        case .heartbeat:
            .heartbeat(
                isFull
                    ? .init(group: "billing", generation: 5, memberID: "m-1", instanceID: since(3, "i-1", nil))
                    : .init(group: "billing", generation: -1, memberID: "", instanceID: nil))
        case .leaveGroup: .leaveGroup(leaveGroup)
        case .syncGroup: .syncGroup(syncGroup)
        case .describeGroups:
            .describeGroups(
                .init(groups: isFull ? ["billing", "mail"] : [], wantsOperations: isFull && version >= 3))
        case .listGroups: .listGroups(.init(states: isFull && version >= 4 ? ["Stable", "Empty"] : []))
        case .deleteGroups: .deleteGroups(.init(groups: isFull ? ["billing", "mail"] : []))
        case .offsetDelete:
            .offsetDelete(
                .init(group: "billing", topics: isFull ? [.init(name: "orders", partitions: [0, 7])] : []))
        default: nil
        }
    }

    private var offsetCommit: OffsetCommitRequest {
        guard isFull else {
            return OffsetCommitRequest(group: "billing", generation: -1, memberID: "", instanceID: nil, topics: [])
        }
        return OffsetCommitRequest(
            group: "billing", generation: 5, memberID: "m-1", instanceID: since(7, "i-1", nil),
            topics: [
                .init(
                    name: "orders",
                    partitions: [
                        .init(index: 7, offset: 42, leaderEpoch: since(6, 4, -1), metadata: "note"),
                        .init(index: 8, offset: 43, leaderEpoch: -1, metadata: nil),
                    ])
            ])
    }

    private var joinGroup: JoinGroupRequest {
        guard isFull else {
            return JoinGroupRequest(
                group: "billing", sessionTimeout: 0, rebalanceTimeout: 0, memberID: "", instanceID: nil,
                protocolType: "", proposals: [])
        }
        return JoinGroupRequest(
            group: "billing", sessionTimeout: 10000, rebalanceTimeout: since(1, 300_000, 10000), memberID: "m-1",
            instanceID: since(5, "i-1", nil), protocolType: "consumer",
            proposals: [.init(name: "range", metadata: [0, 1]), .init(name: "sticky", metadata: [])])
    }

    private var leaveGroup: LeaveGroupRequest {
        guard version >= 3 else {
            let member = LeaveGroupRequest.Member(id: isFull ? "m-1" : "", instanceID: nil, reason: nil)
            return LeaveGroupRequest(group: "billing", members: [member])
        }
        return LeaveGroupRequest(
            group: "billing",
            members: isFull
                ? [
                    .init(id: "m-1", instanceID: "i-1", reason: since(5, "done", nil)),
                    .init(id: "m-2", instanceID: nil, reason: nil),
                ] : [])
    }

    private var syncGroup: SyncGroupRequest {
        guard isFull else {
            return SyncGroupRequest(
                group: "billing", generation: 0, memberID: "", instanceID: nil, protocolType: nil, protocolName: nil,
                assignments: [])
        }
        return SyncGroupRequest(
            group: "billing", generation: 5, memberID: "m-1", instanceID: since(3, "i-1", nil),
            protocolType: since(5, "consumer", nil), protocolName: since(5, "range", nil),
            assignments: [.init(memberID: "m-1", assignment: [0, 7])])
    }
}
