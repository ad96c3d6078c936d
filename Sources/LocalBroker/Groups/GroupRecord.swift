/// One change of what the coordinator remembers over a restart. The journal that keeps them knows nothing of groups;
/// applied in the order of their making they lead to the same state, and any of them may be applied twice.
enum GroupRecord: Hashable, Sendable {
    /// What the members of a group agree on; without members, that it is empty.
    struct Group: Hashable, Sendable {
        var group: String
        var generation: Int32
        var protocolType: String?
        var protocolName: String?
        var leader: String?
        var members: [Member]
    }

    /// One of those who agree, and what it was given to do.
    struct Member: Hashable, Sendable {
        var memberID: String
        var instanceID: String?
        var clientID: String
        var clientHost: String
        var sessionTimeout: Int32
        var rebalanceTimeout: Int32
        var protocols: [GroupProtocol]
        var assignment: [UInt8]
    }

    case group(Group)
    /// A generation was begun: none of this number may be begun again.
    case generation(group: String, generation: Int32)
    case groupRemoved(group: String)
    case offset(group: String, partition: GroupPartition, offset: CommittedOffset)
    case offsetRemoved(group: String, partition: GroupPartition)
}

extension GroupRecord.Member {
    init(_ member: GroupMember) {
        self.init(
            memberID: member.memberID, instanceID: member.instanceID, clientID: member.clientID,
            clientHost: member.clientHost, sessionTimeout: member.sessionTimeout,
            rebalanceTimeout: member.rebalanceTimeout, protocols: member.protocols, assignment: member.assignment)
    }
}
