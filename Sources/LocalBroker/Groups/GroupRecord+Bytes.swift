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
        var writer = ByteWriter()
        writer.put(Self.version)
        switch self {
        case .group(let group):
            writer.put(Kind.group.rawValue)
            writer.string(group.group)
            writer.put(group.generation)
            writer.string(group.protocolType)
            writer.string(group.protocolName)
            writer.string(group.leader)
            writer.put(UInt32(group.members.count))
            for member in group.members { writer.member(member) }
        case .generation(let group, let generation):
            writer.put(Kind.generation.rawValue)
            writer.string(group)
            writer.put(generation)
        case .groupRemoved(let group):
            writer.put(Kind.groupRemoved.rawValue)
            writer.string(group)
        case .offset(let group, let partition, let offset):
            writer.put(Kind.offset.rawValue)
            writer.string(group)
            writer.partition(partition)
            writer.put(offset.offset)
            writer.put(offset.leaderEpoch)
            writer.string(offset.metadata)
            writer.put(offset.committedAt)
        case .offsetRemoved(let group, let partition):
            writer.put(Kind.offsetRemoved.rawValue)
            writer.string(group)
            writer.partition(partition)
        }
        return writer.bytes
    }

    /// Reads a record, whole and with nothing after it.
    init(bytes: some Collection<UInt8>) throws(GroupRecordFault) {
        var reader = ByteReader(Array(bytes)[...])
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
        guard reader.remaining == 0 else { throw .trailingBytes(reader.remaining) }
    }
}

/// The length of a string that is not there.
private let absent = UInt32.max

extension ByteWriter {
    fileprivate mutating func data(_ data: some Collection<UInt8>) {
        put(UInt32(data.count))
        put(data)
    }

    fileprivate mutating func string(_ text: String?) {
        guard let text else { return put(absent) }
        data(text.utf8)
    }

    fileprivate mutating func partition(_ partition: GroupPartition) {
        string(partition.topic)
        put(partition.partition)
    }

    fileprivate mutating func member(_ member: GroupRecord.Member) {
        string(member.memberID)
        string(member.instanceID)
        string(member.clientID)
        string(member.clientHost)
        put(member.sessionTimeout)
        put(member.rebalanceTimeout)
        put(UInt32(member.protocols.count))
        for proto in member.protocols {
            string(proto.name)
            data(proto.metadata)
        }
        data(member.assignment)
    }
}

/// Takes fields from the front; none is read before its bytes are known to be there.
extension ByteReader {
    private mutating func bytes(_ count: Int) throws(GroupRecordFault) -> ArraySlice<UInt8> {
        guard let bytes = take(count: count) else { throw .truncated }
        return bytes
    }

    fileprivate mutating func integer<Number: FixedWidthInteger>(
        _ type: Number.Type
    ) throws(GroupRecordFault) -> Number {
        guard let value = take(type) else { throw .truncated }
        return value
    }

    fileprivate mutating func generation() throws(GroupRecordFault) -> Int32 {
        let generation = try integer(Int32.self)
        guard generation >= 0 else { throw .negativeGeneration(generation) }
        return generation
    }

    fileprivate mutating func optionalString() throws(GroupRecordFault) -> String? {
        let length = try integer(UInt32.self)
        guard length != absent else { return nil }
        guard let text = String(validating: try bytes(Int(length)), as: UTF8.self) else { throw .notUTF8 }
        return text
    }

    fileprivate mutating func string() throws(GroupRecordFault) -> String {
        guard let text = try optionalString() else { throw .truncated }
        return text
    }

    fileprivate mutating func data() throws(GroupRecordFault) -> [UInt8] {
        Array(try bytes(Int(try integer(UInt32.self))))
    }

    /// Grows with what is really there: a count that lies ends at the end of the bytes.
    fileprivate mutating func list<Element>(
        _ element: (inout ByteReader) throws(GroupRecordFault) -> Element
    ) throws(GroupRecordFault) -> [Element] {
        var list: [Element] = []
        for _ in 0..<(try integer(UInt32.self)) { list.append(try element(&self)) }
        return list
    }

    fileprivate mutating func partition() throws(GroupRecordFault) -> GroupPartition {
        GroupPartition(topic: try string(), partition: try integer(Int32.self))
    }

    fileprivate mutating func member() throws(GroupRecordFault) -> GroupRecord.Member {
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
