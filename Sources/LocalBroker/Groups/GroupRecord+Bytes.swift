// Group records as bytes: a version, a kind, then the fields in their order. Numbers are big-endian; a string or a byte
// array is its length (uint32) and its bytes, an absent string the length 0xffffffff; a list is its count (uint32) and
// its elements. The journal frames and checks the records; these bytes only have to be read without harm.

/// Why bytes are not a group record.
enum GroupRecordFault: Error, Hashable, Sendable {
    case unknownVersion(UInt8)
    case unknownKind(UInt8)
    case truncated
    case trailingBytes(Int)
    case notUTF8
    case negativeGeneration(Int32)
}

extension GroupRecord {
    private static let version: UInt8 = 1

    private enum Kind: UInt8 {
        case group = 1
        case generation = 2
        case groupRemoved = 3
        case offset = 4
        case offsetRemoved = 5
    }

    var bytes: [UInt8] {
        var writer = Writer()
        writer.integer(Self.version)
        switch self {
        case .group(let group):
            writer.integer(Kind.group.rawValue)
            writer.string(group.group)
            writer.integer(group.generation)
            writer.string(group.protocolType)
            writer.string(group.protocolName)
            writer.string(group.leader)
            writer.integer(UInt32(group.members.count))
            for member in group.members { writer.member(member) }
        case .generation(let group, let generation):
            writer.integer(Kind.generation.rawValue)
            writer.string(group)
            writer.integer(generation)
        case .groupRemoved(let group):
            writer.integer(Kind.groupRemoved.rawValue)
            writer.string(group)
        case .offset(let group, let partition, let offset):
            writer.integer(Kind.offset.rawValue)
            writer.string(group)
            writer.partition(partition)
            writer.integer(offset.offset)
            writer.integer(offset.leaderEpoch)
            writer.string(offset.metadata)
            writer.integer(offset.committedAt)
        case .offsetRemoved(let group, let partition):
            writer.integer(Kind.offsetRemoved.rawValue)
            writer.string(group)
            writer.partition(partition)
        }
        return writer.bytes
    }

    /// Reads a record, whole and with nothing after it.
    init(bytes: some Collection<UInt8>) throws(GroupRecordFault) {
        var reader = Reader(rest: Array(bytes)[...])
        let version = try reader.integer(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(version) }
        let number = try reader.integer(UInt8.self)
        guard let kind = Kind(rawValue: number) else { throw .unknownKind(number) }
        let group = try reader.string()
        switch kind {
        case .group:
            self = .group(
                Group(
                    group: group, generation: try reader.generation(), protocolType: try reader.optionalString(),
                    protocolName: try reader.optionalString(), leader: try reader.optionalString(),
                    members: try reader.list { reader throws(GroupRecordFault) in try reader.member() }))
        case .generation: self = .generation(group: group, generation: try reader.generation())
        case .groupRemoved: self = .groupRemoved(group: group)
        case .offset:
            self = .offset(
                group: group, partition: try reader.partition(),
                offset: CommittedOffset(
                    offset: try reader.integer(Int64.self), leaderEpoch: try reader.integer(Int32.self),
                    metadata: try reader.string(), committedAt: try reader.integer(Int64.self)))
        case .offsetRemoved: self = .offsetRemoved(group: group, partition: try reader.partition())
        }
        guard reader.rest.isEmpty else { throw .trailingBytes(reader.rest.count) }
    }
}

/// The length of a string that is not there.
private let absent = UInt32.max

/// Appends fields.
private struct Writer {
    var bytes: [UInt8] = []

    mutating func integer<Number: FixedWidthInteger>(_ value: Number) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func data(_ data: some Collection<UInt8>) {
        integer(UInt32(data.count))
        bytes.append(contentsOf: data)
    }

    mutating func string(_ text: String?) {
        guard let text else { return integer(absent) }
        data(text.utf8)
    }

    mutating func partition(_ partition: GroupPartition) {
        string(partition.topic)
        integer(partition.partition)
    }

    mutating func member(_ member: GroupRecord.Member) {
        string(member.memberID)
        string(member.instanceID)
        string(member.clientID)
        string(member.clientHost)
        integer(member.sessionTimeout)
        integer(member.rebalanceTimeout)
        integer(UInt32(member.protocols.count))
        for proto in member.protocols {
            string(proto.name)
            data(proto.metadata)
        }
        data(member.assignment)
    }
}

/// Takes fields from the front; none is read before its bytes are known to be there.
private struct Reader {
    var rest: ArraySlice<UInt8>

    mutating func take(_ count: Int) throws(GroupRecordFault) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw .truncated }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func integer<Number: FixedWidthInteger>(_: Number.Type) throws(GroupRecordFault) -> Number {
        var value: Number = 0
        // An 8-bit number shifted by 8 is 0, so this holds for all widths.
        for byte in try take(Number.bitWidth / 8) { value = value << 8 | Number(truncatingIfNeeded: byte) }
        return value
    }

    mutating func generation() throws(GroupRecordFault) -> Int32 {
        let generation = try integer(Int32.self)
        guard generation >= 0 else { throw .negativeGeneration(generation) }
        return generation
    }

    mutating func optionalString() throws(GroupRecordFault) -> String? {
        let length = try integer(UInt32.self)
        guard length != absent else { return nil }
        guard let text = String(validating: try take(Int(length)), as: UTF8.self) else { throw .notUTF8 }
        return text
    }

    mutating func string() throws(GroupRecordFault) -> String {
        guard let text = try optionalString() else { throw .truncated }
        return text
    }

    mutating func data() throws(GroupRecordFault) -> [UInt8] {
        Array(try take(Int(try integer(UInt32.self))))
    }

    /// Grows with what is really there: a count that lies ends at the end of the bytes.
    mutating func list<Element>(
        _ element: (inout Reader) throws(GroupRecordFault) -> Element
    ) throws(GroupRecordFault) -> [Element] {
        var list: [Element] = []
        for _ in 0..<(try integer(UInt32.self)) { list.append(try element(&self)) }
        return list
    }

    mutating func partition() throws(GroupRecordFault) -> GroupPartition {
        GroupPartition(topic: try string(), partition: try integer(Int32.self))
    }

    mutating func member() throws(GroupRecordFault) -> GroupRecord.Member {
        GroupRecord.Member(
            memberID: try string(), instanceID: try optionalString(), clientID: try string(),
            clientHost: try string(), sessionTimeout: try integer(Int32.self),
            rebalanceTimeout: try integer(Int32.self),
            protocols: try list { reader throws(GroupRecordFault) in
                GroupProtocol(name: try reader.string(), metadata: try reader.data())
            },
            assignment: try data())
    }
}
