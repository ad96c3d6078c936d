// The transaction APIs: read as far as an answer needs, and refused. `ApiKey` says why clients do not get here.

/// Adds partitions to a transaction.
struct AddPartitionsToTxnRequest: Hashable {
    let transactionalID: String
    let producerID: Int64
    let producerEpoch: Int16
    let topics: [PartitionNumbers]

    func refused(_ error: ErrorCode) -> TransactionPartitionsResponse {
        TransactionPartitionsResponse(
            topics: topics.map { topic in
                PerTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { PartitionOutcome(index: $0, error: error) }
                )
            }
        )
    }
}

extension AddPartitionsToTxnRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        transactionalID = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        topics = try reader.array(version: version)
    }
}

/// The refusal of AddPartitionsToTxn and of TxnOffsetCommit, partition by partition: they are answered alike.
struct TransactionPartitionsResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    let topics: [PerTopic<PartitionOutcome>]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(topics, version: version)
    }
}

/// Adds a group's offsets to a transaction.
struct AddOffsetsToTxnRequest: Hashable {
    let transactionalID: String
    let producerID: Int64
    let producerEpoch: Int16
    let group: String
}

extension AddOffsetsToTxnRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        transactionalID = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        group = try reader.string()
    }
}

/// Commits or aborts a transaction.
struct EndTxnRequest: Hashable {
    let transactionalID: String
    let producerID: Int64
    let producerEpoch: Int16
    let commits: Bool
}

extension EndTxnRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        transactionalID = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        commits = try reader.bool()
    }
}

/// The refusal of AddOffsetsToTxn and of EndTxn, which are answered alike.
struct TransactionResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    let error: ErrorCode

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.error(error)
    }
}

/// Commits a group's offsets within a transaction.
struct TxnOffsetCommitRequest: Hashable {
    /// An ordinary partition of OffsetCommit, laid out by this API's versions.
    struct Partition: Hashable {
        let index: Int32
        let offset: Int64
        let leaderEpoch: Int32
        let metadata: String?
    }

    let transactionalID: String
    let group: String
    let producerID: Int64
    let producerEpoch: Int16
    let generation: Int32
    let memberID: String
    let instanceID: String?
    let topics: [PerTopic<Partition>]

    func refused(_ error: ErrorCode) -> TransactionPartitionsResponse {
        TransactionPartitionsResponse(
            topics: topics.map { topic in
                PerTopic(
                    name: topic.name,
                    partitions: topic.partitions.map { PartitionOutcome(index: $0.index, error: error) }
                )
            }
        )
    }
}

extension TxnOffsetCommitRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        transactionalID = try reader.string()
        group = try reader.string()
        producerID = try reader.int64()
        producerEpoch = try reader.int16()
        generation = version >= 3 ? try reader.int32() : -1
        memberID = version >= 3 ? try reader.string() : ""
        instanceID = version >= 3 ? try reader.nullableString() : nil
        topics = try reader.array(version: version)
    }
}

extension TxnOffsetCommitRequest.Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        index = try reader.int32()
        offset = try reader.int64()
        leaderEpoch = version >= 2 ? try reader.int32() : -1
        metadata = try reader.nullableString()
    }
}
