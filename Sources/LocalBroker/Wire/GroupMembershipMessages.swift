/// Enters a group, or a new generation of it.
struct JoinGroupRequest: Hashable {
    /// One way to assign that the member supports, with what the leader needs to know for it.
    struct Proposal: Hashable {
        let name: String
        let metadata: [UInt8]
    }

    let group: String
    let sessionTimeout: Int32
    /// How long the others wait for this member in a rebalance.
    let rebalanceTimeout: Int32
    /// Empty at first.
    let memberID: String
    let instanceID: String?
    let protocolType: String
    /// The best first.
    let proposals: [Proposal]
}

extension JoinGroupRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        sessionTimeout = try reader.int32()
        // Before there were two timeouts, the one served for both.
        rebalanceTimeout = version >= 1 ? try reader.int32() : sessionTimeout
        memberID = try reader.string()
        instanceID = version >= 5 ? try reader.nullableString() : nil
        protocolType = try reader.string()
        proposals = try reader.array(version: version)
    }
}

extension JoinGroupRequest.Proposal: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        metadata = try reader.bytes()
    }
}

/// The generation that began; its leader also learns who is in it.
struct JoinGroupResponse: WireEncodable, Hashable {
    struct Member: WireEncodable, Hashable {
        let id: String
        var instanceID: String?
        let metadata: [UInt8]

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(id)
            if version >= 5 { writer.string(instanceID) }
            writer.bytes(metadata)
        }
    }

    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var generation: Int32 = -1
    var protocolType: String?
    /// Before version 7 none is sent as empty.
    var protocolName: String?
    var leader = ""
    var memberID = ""
    var members: [Member] = []

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 2 { writer.int32(throttle) }
        writer.error(error)
        writer.int32(generation)
        if version >= 7 { writer.string(protocolType) }
        writer.string(version >= 7 ? protocolName : protocolName ?? "")
        writer.string(leader)
        writer.string(memberID)
        writer.array(members, version: version)
    }
}

/// Asks for one's assignment; the leader's brings everybody's.
struct SyncGroupRequest: Hashable {
    struct Assignment: Hashable {
        let memberID: String
        let assignment: [UInt8]
    }

    let group: String
    let generation: Int32
    let memberID: String
    let instanceID: String?
    let protocolType: String?
    let protocolName: String?
    let assignments: [Assignment]
}

extension SyncGroupRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        generation = try reader.int32()
        memberID = try reader.string()
        instanceID = version >= 3 ? try reader.nullableString() : nil
        protocolType = version >= 5 ? try reader.nullableString() : nil
        protocolName = version >= 5 ? try reader.nullableString() : nil
        assignments = try reader.array(version: version)
    }
}

extension SyncGroupRequest.Assignment: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        memberID = try reader.string()
        assignment = try reader.bytes()
    }
}

/// The member's assignment.
struct SyncGroupResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var protocolType: String?
    var protocolName: String?
    var assignment: [UInt8] = []

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        writer.error(error)
        if version >= 5 {
            writer.string(protocolType)
            writer.string(protocolName)
        }
        writer.bytes(assignment)
    }
}

/// Keeps a member's session alive.
struct HeartbeatRequest: Hashable {
    let group: String
    let generation: Int32
    let memberID: String
    let instanceID: String?
}

extension HeartbeatRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        generation = try reader.int32()
        memberID = try reader.string()
        instanceID = version >= 3 ? try reader.nullableString() : nil
    }
}

/// Also tells the member of a rebalance.
struct HeartbeatResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    var error: ErrorCode = .none

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        writer.error(error)
    }
}

/// Takes members out of a group.
struct LeaveGroupRequest: Hashable {
    struct Member: Hashable {
        /// May be empty when the instance is named.
        let id: String
        let instanceID: String?
        let reason: String?
    }

    let group: String
    /// Before version 3 always one: the member that asks.
    let members: [Member]
}

extension LeaveGroupRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        members =
            version >= 3
            ? try reader.array(version: version)
            : [Member(id: try reader.string(), instanceID: nil, reason: nil)]
    }
}

extension LeaveGroupRequest.Member: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        id = try reader.string()
        instanceID = try reader.nullableString()
        reason = version >= 5 ? try reader.nullableString() : nil
    }
}

/// What became of each. Before version 3 the one member's outcome is the whole answer.
struct LeaveGroupResponse: WireEncodable, Hashable {
    struct Member: WireEncodable, Hashable {
        let id: String
        var instanceID: String?
        var error: ErrorCode = .none

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(id)
            writer.string(instanceID)
            writer.error(error)
        }
    }

    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var members: [Member] = []

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        if version >= 3 {
            writer.error(error)
            writer.array(members, version: version)
        } else {
            writer.error(error == .none ? members.first?.error ?? .none : error)
        }
    }
}
