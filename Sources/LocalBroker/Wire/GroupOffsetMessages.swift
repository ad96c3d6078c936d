/// Stores the positions of a consumer group.
struct OffsetCommitRequest: Hashable {
    struct Partition: Hashable {
        let index: Int32
        let offset: Int64
        let leaderEpoch: Int32
        let metadata: String?
    }

    typealias Topic = PerTopic<Partition>

    let group: String
    /// -1 with an empty member id: a consumer that is in no group.
    let generation: Int32
    let memberID: String
    let instanceID: String?
    let topics: [Topic]
}

extension OffsetCommitRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        generation = try reader.int32()
        memberID = try reader.string()
        instanceID = version >= 7 ? try reader.nullableString() : nil
        if version <= 4 { _ = try reader.int64() }  // a retention time of the client's; offsets do not expire here
        topics = try reader.array(version: version)
    }
}

extension OffsetCommitRequest.Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        index = try reader.int32()
        offset = try reader.int64()
        leaderEpoch = version >= 6 ? try reader.int32() : -1
        metadata = try reader.nullableString()
    }
}

/// What was stored.
struct OffsetCommitResponse: WireEncodable, Hashable {
    typealias Topic = PerTopic<PartitionOutcome>

    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 3 { writer.int32(throttle) }
        writer.array(topics, version: version)
    }
}

/// Asks for the positions of a consumer group.
struct OffsetFetchRequest: Hashable {
    let group: String
    /// Nil asks for all that the group has.
    let topics: [PartitionNumbers]?
    /// Refuse while a transaction may still change them, which here never is.
    let requiresStable: Bool
}

extension OffsetFetchRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        topics = version >= 2 ? try reader.nullableArray(version: version) : try reader.array(version: version)
        requiresStable = version >= 7 ? try reader.bool() : false
    }
}

/// The positions of a group.
struct OffsetFetchResponse: WireEncodable, Hashable {
    struct Partition: Hashable {
        let index: Int32
        /// -1: there is none.
        var offset: Int64 = -1
        var leaderEpoch: Int32 = -1
        /// Empty where there is none.
        var metadata: String? = ""
        var error: ErrorCode = .none
    }

    typealias Topic = PerTopic<Partition>

    var throttle: Int32 = 0
    var topics: [Topic]
    /// Of the group as a whole. Version 1 has no place for it: there it is said of every partition that has no other.
    var error: ErrorCode = .none

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 3 { writer.int32(throttle) }
        if version >= 2 {
            writer.array(topics, version: version)
            writer.error(error)
        } else {
            var topics = topics
            for topic in topics.indices {
                for partition in topics[topic].partitions.indices
                where topics[topic].partitions[partition].error == .none {
                    topics[topic].partitions[partition].error = error
                }
            }
            writer.array(topics, version: version)
        }
    }
}

extension OffsetFetchResponse.Partition: WireEncodable {
    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(index)
        writer.int64(offset)
        if version >= 5 { writer.int32(leaderEpoch) }
        writer.string(metadata)
        writer.error(error)
    }
}

/// Forgets positions of a group.
struct OffsetDeleteRequest: Hashable {
    let group: String
    let topics: [PartitionNumbers]
}

extension OffsetDeleteRequest: WireDecodable {
    // A partition is a structure of one number; without flexible versions those are the same bytes as the number.
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        group = try reader.string()
        topics = try reader.array(version: version)
    }
}

/// What was forgotten.
struct OffsetDeleteResponse: WireEncodable, Hashable {
    typealias Topic = PerTopic<PartitionOutcome>

    var error: ErrorCode = .none
    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.error(error)
        writer.int32(throttle)
        writer.array(topics, version: version)
    }
}
