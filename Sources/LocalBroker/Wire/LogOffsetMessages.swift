/// Offsets by time: of the first record at or after a timestamp, or of an end of the log.
struct ListOffsetsRequest: Hashable {
    /// In place of a timestamp: the end of the log.
    static let latest: Int64 = -1
    /// In place of a timestamp: its start.
    static let earliest: Int64 = -2
    /// In place of a timestamp: the record with the highest one.
    static let highestTimestamp: Int64 = -3

    struct Partition: Hashable {
        let index: Int32
        let currentLeaderEpoch: Int32
        let timestamp: Int64
    }

    typealias Topic = PerTopic<Partition>

    let isolationLevel: Int8
    let topics: [Topic]
}

extension ListOffsetsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        _ = try reader.int32()  // the follower that asks; there are none here
        isolationLevel = version >= 2 ? try reader.int8() : 0
        topics = try reader.array(version: version)
    }
}

extension ListOffsetsRequest.Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        index = try reader.int32()
        currentLeaderEpoch = version >= 4 ? try reader.int32() : -1
        timestamp = try reader.int64()
    }
}

/// The offsets found; -1 where no record is as late as asked.
struct ListOffsetsResponse: WireEncodable, Hashable {
    struct Partition: WireEncodable, Hashable {
        let index: Int32
        var error: ErrorCode = .none
        var timestamp: Int64 = -1
        var offset: Int64 = -1
        var leaderEpoch: Int32 = -1

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.error(error)
            writer.int64(timestamp)
            writer.int64(offset)
            if version >= 4 { writer.int32(leaderEpoch) }
        }
    }

    typealias Topic = PerTopic<Partition>

    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 2 { writer.int32(throttle) }
        writer.array(topics, version: version)
    }
}

/// Moves the start of logs forward.
struct DeleteRecordsRequest: Hashable {
    struct Partition: Hashable {
        let index: Int32
        /// The first offset to stay; -1 for none.
        let offset: Int64
    }

    typealias Topic = PerTopic<Partition>

    let topics: [Topic]
    let timeout: Int32
}

extension DeleteRecordsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        topics = try reader.array(version: version)
        timeout = try reader.int32()
    }
}

extension DeleteRecordsRequest.Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        index = try reader.int32()
        offset = try reader.int64()
    }
}

/// Where the logs start now.
struct DeleteRecordsResponse: WireEncodable, Hashable {
    struct Partition: WireEncodable, Hashable {
        let index: Int32
        /// The log's start; -1 with an error.
        var lowWatermark: Int64 = -1
        var error: ErrorCode = .none

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.int64(lowWatermark)
            writer.error(error)
        }
    }

    typealias Topic = PerTopic<Partition>

    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(topics, version: version)
    }
}
