/// Records to read, from an offset on in each partition.
///
/// From version 7 on a client offers an incremental session, in which it need not name every partition again. A broker may
/// decline by answering with session 0, and the client goes on with full requests.
struct FetchRequest: Hashable {
    struct Partition: Hashable {
        let index: Int32
        /// The epoch that the client believes the leader has, or -1.
        let currentLeaderEpoch: Int32
        let offset: Int64
        /// The epoch of the last record that the client has, or -1.
        let lastFetchedEpoch: Int32
        let maxBytes: Int32
    }

    typealias Topic = PerTopic<Partition>

    let maxWait: Int32
    let minBytes: Int32
    let maxBytes: Int32
    /// 1: only what transactions committed, which without transactions is everything.
    let isolationLevel: Int8
    let sessionID: Int32
    let sessionEpoch: Int32
    let topics: [Topic]
    /// Partitions that leave the session.
    let forgottenTopics: [PartitionNumbers]
    let rack: String
}

extension FetchRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        _ = try reader.int32()  // the follower that asks; there are none here
        maxWait = try reader.int32()
        minBytes = try reader.int32()
        maxBytes = try reader.int32()
        isolationLevel = try reader.int8()
        sessionID = version >= 7 ? try reader.int32() : 0
        sessionEpoch = version >= 7 ? try reader.int32() : -1
        topics = try reader.array(version: version)
        forgottenTopics = version >= 7 ? try reader.array(version: version) : []
        rack = version >= 11 ? try reader.string() : ""
    }
}

extension FetchRequest.Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        index = try reader.int32()
        currentLeaderEpoch = version >= 9 ? try reader.int32() : -1
        offset = try reader.int64()
        lastFetchedEpoch = version >= 12 ? try reader.int32() : -1
        if version >= 5 { _ = try reader.int64() }  // the log's start on a follower
        maxBytes = try reader.int32()
    }
}

/// Records, with where each partition begins and ends.
struct FetchResponse: WireEncodable, Hashable {
    enum Records: Hashable {
        case none
        /// `count` bytes, above 0, of what the sender knows as `payload`.
        case spliced(payload: Int, count: Int)
    }

    struct Partition: WireEncodable, Hashable {
        let index: Int32
        var error: ErrorCode = .none
        /// Where the next record will be; -1 with an error.
        var highWatermark: Int64 = -1
        /// The same, where there are no transactions.
        var lastStableOffset: Int64 = -1
        var logStartOffset: Int64 = -1
        var records: Records = .none

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            writer.error(error)
            writer.int64(highWatermark)
            writer.int64(lastStableOffset)
            if version >= 5 { writer.int64(logStartOffset) }
            writer.int32s([])  // aborted transactions: an empty array is the same bytes whatever its elements
            if version >= 11 { writer.int32(-1) }  // no other replica is to be preferred
            writer.records(records)
        }
    }

    typealias Topic = PerTopic<Partition>

    var throttle: Int32 = 0
    var error: ErrorCode = .none
    /// 0 declines a session.
    var sessionID: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        if version >= 7 {
            writer.error(error)
            writer.int32(sessionID)
        }
        writer.array(topics, version: version)
    }
}
