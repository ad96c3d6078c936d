/// Which broker looks after a group (or a transaction)?
struct FindCoordinatorRequest: Hashable {
    enum Kind: Hashable {
        case group
        case transaction
        case other(Int8)
    }

    let key: String
    let kind: Kind
}

extension FindCoordinatorRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        key = try reader.string()
        switch version >= 1 ? try reader.int8() : 0 {
        case 0: kind = .group
        case 1: kind = .transaction
        case let number: kind = .other(number)
        }
    }
}

/// The one broker that there is, or an error.
struct FindCoordinatorResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var message: String?
    var coordinator = BrokerAddress(nodeID: -1, host: "", port: -1)

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        writer.error(error)
        if version >= 1 { writer.string(message) }
        coordinator.encodeFields(into: &writer, version: version)
    }
}

/// Asks for all groups.
struct ListGroupsRequest: Hashable {
    /// Only groups in one of these states; empty for all.
    let states: [String]
}

extension ListGroupsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        states = version >= 4 ? try reader.strings() : []
    }
}

/// The groups there are.
struct ListGroupsResponse: WireEncodable, Hashable {
    struct Group: WireEncodable, Hashable {
        let id: String
        let protocolType: String
        var state = ""

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(id)
            writer.string(protocolType)
            if version >= 4 { writer.string(state) }
        }
    }

    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var groups: [Group]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        writer.error(error)
        writer.array(groups, version: version)
    }
}

/// Asks for groups with their members.
struct DescribeGroupsRequest: Hashable {
    let groups: [String]
    let wantsOperations: Bool
}

extension DescribeGroupsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        groups = try reader.strings()
        wantsOperations = version >= 3 ? try reader.bool() : false
    }
}

/// Groups with their members. A group that is not known is described as dead, without an error.
struct DescribeGroupsResponse: WireEncodable, Hashable {
    struct Member: WireEncodable, Hashable {
        let id: String
        var instanceID: String?
        let clientID: String
        let clientHost: String
        var metadata: [UInt8] = []
        var assignment: [UInt8] = []

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(id)
            if version >= 4 { writer.string(instanceID) }
            writer.string(clientID)
            writer.string(clientHost)
            writer.bytes(metadata)
            writer.bytes(assignment)
        }
    }

    struct Group: WireEncodable, Hashable {
        var error: ErrorCode = .none
        let id: String
        var state = ""
        var protocolType = ""
        /// The name of the protocol that was chosen.
        var protocolName = ""
        var members: [Member] = []
        var operations = AuthorizedOperations.omitted

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.string(id)
            writer.string(state)
            writer.string(protocolType)
            writer.string(protocolName)
            writer.array(members, version: version)
            if version >= 3 { writer.int32(operations) }
        }
    }

    var throttle: Int32 = 0
    var groups: [Group]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        writer.array(groups, version: version)
    }
}

/// Removes groups that have no members, with their offsets.
struct DeleteGroupsRequest: Hashable {
    let groups: [String]
}

extension DeleteGroupsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        groups = try reader.strings()
    }
}

/// What was removed.
struct DeleteGroupsResponse: WireEncodable, Hashable {
    struct Group: WireEncodable, Hashable {
        let id: String
        var error: ErrorCode = .none

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(id)
            writer.error(error)
        }
    }

    var throttle: Int32 = 0
    var groups: [Group]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(groups, version: version)
    }
}
