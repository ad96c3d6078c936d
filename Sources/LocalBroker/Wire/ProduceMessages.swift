/// Records to append. It gets no answer when `acks` is 0.
struct ProduceRequest: Hashable {
    struct Partition: Hashable {
        let index: Int32
        /// Where in the frame the record batches are.
        let records: Range<Int>?
    }

    typealias Topic = PerTopic<Partition>

    let transactionalID: String?
    /// 1 or -1 (all): answer when it is appended; 0: never answer.
    let acks: Int16
    let timeout: Int32
    let topics: [Topic]
    /// The version is from before record batches: whatever the records are, they are not of a format that we keep.
    let legacyFormat: Bool
}

extension ProduceRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        legacyFormat = version < 3
        transactionalID = version >= 3 ? try reader.nullableString() : nil
        acks = try reader.int16()
        timeout = try reader.int32()
        topics = try reader.array(version: version)
    }
}

extension ProduceRequest.Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        index = try reader.int32()
        records = try reader.nullableByteRange()
    }
}

/// What became of the records, partition by partition.
struct ProduceResponse: WireEncodable, Hashable {
    /// A record that was the reason to refuse its batch.
    struct RecordError: WireEncodable, Hashable {
        let batchIndex: Int32
        var message: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.int32(batchIndex)
            writer.string(message)
        }
    }

    struct Partition: WireEncodable, Hashable {
        let index: Int32
        var error: ErrorCode = .none
        var baseOffset: Int64 = -1
        /// Milliseconds, when the topic stamps records itself; else -1.
        var logAppendTime: Int64 = -1
        var logStartOffset: Int64 = -1
        var recordErrors: [RecordError] = []
        var message: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.error(error)
            writer.int64(baseOffset)
            if version >= 2 { writer.int64(logAppendTime) }
            if version >= 5 { writer.int64(logStartOffset) }
            if version >= 8 {
                writer.array(recordErrors, version: version)
                writer.string(message)
            }
        }
    }

    typealias Topic = PerTopic<Partition>

    var topics: [Topic]
    var throttle: Int32 = 0

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.array(topics, version: version)
        if version >= 1 { writer.int32(throttle) }
    }
}

/// A producer id, for an idempotent producer; with a transactional id, the start of what we do not do.
struct InitProducerIdRequest: Hashable {
    let transactionalID: String?
    let transactionTimeout: Int32
    /// What the producer has already, or -1.
    let producerID: Int64
    let producerEpoch: Int16
}

extension InitProducerIdRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        transactionalID = try reader.nullableString()
        transactionTimeout = try reader.int32()
        producerID = version >= 3 ? try reader.int64() : -1
        producerEpoch = version >= 3 ? try reader.int16() : -1
    }
}

/// The producer id and epoch to number batches under.
struct InitProducerIdResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var producerID: Int64 = -1
    var producerEpoch: Int16 = -1

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.error(error)
        writer.int64(producerID)
        writer.int16(producerEpoch)
    }
}
