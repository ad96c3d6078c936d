/// Which topics there are, with their partitions, and where the broker is.
struct MetadataRequest: Hashable {
    struct Topic: Hashable {
        /// Zero when the topic is named by its name.
        let id: UUID128
        let name: String?
    }

    /// Nil asks for all of them.
    let topics: [Topic]?
    let allowsAutoCreation: Bool
    let wantsClusterOperations: Bool
    let wantsTopicOperations: Bool
}

extension MetadataRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        if version == 0 {
            // There was no null yet: an empty list asked for all.
            let named: [Topic] = try reader.array(version: version)
            topics = named.isEmpty ? nil : named
        } else {
            topics = try reader.nullableArray(version: version)
        }
        allowsAutoCreation = version >= 4 ? try reader.bool() : true
        wantsClusterOperations = 8...10 ~= version ? try reader.bool() : false
        wantsTopicOperations = version >= 8 ? try reader.bool() : false
    }
}

extension MetadataRequest.Topic: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        id = version >= 10 ? try reader.uuid() : .zero
        name = version >= 10 ? try reader.nullableString() : try reader.string()
    }
}

/// What a client may do with a cluster, topic or group, as a set of bits.
enum AuthorizedOperations {
    /// It was not asked.
    static let omitted = Int32.min
}

/// A broker's address, as clients are to reach it.
struct BrokerAddress: Hashable, Sendable {
    let nodeID: Int32
    let host: String
    let port: Int32
}

extension BrokerAddress: WireEncodable {
    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(nodeID)
        writer.string(host)
        writer.int32(port)
    }
}

/// The broker and its topics.
struct MetadataResponse: WireEncodable, Hashable {
    /// An address, with the rack that it has not.
    struct Broker: WireEncodable, Hashable {
        let address: BrokerAddress

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            address.encodeFields(into: &writer, version: version)
            if version >= 1 { writer.string(nil) }
        }
    }

    struct Partition: WireEncodable, Hashable {
        var error: ErrorCode = .none
        let index: Int32
        let leader: Int32
        var leaderEpoch: Int32 = -1

        /// The leader is its own only replica.
        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.int32(index)
            writer.int32(leader)
            if version >= 7 { writer.int32(leaderEpoch) }
            writer.int32s([leader])
            writer.int32s([leader])
            if version >= 5 { writer.int32s([]) }
        }
    }

    struct Topic: WireEncodable, Hashable {
        var error: ErrorCode = .none
        /// Nil for an id that is not known; possible from version 12 on, before that it is sent as empty.
        let name: String?
        var id: UUID128 = .zero
        var isInternal = false
        var partitions: [Partition] = []
        var operations = AuthorizedOperations.omitted

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.string(version >= 12 ? name : name ?? "")
            if version >= 10 { writer.uuid(id) }
            if version >= 1 { writer.bool(isInternal) }
            writer.array(partitions, version: version)
            if version >= 8 { writer.int32(operations) }
        }
    }

    var throttle: Int32 = 0
    var brokers: [Broker]
    var clusterID: String?
    var controller: Int32
    var topics: [Topic]
    var operations = AuthorizedOperations.omitted

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 3 { writer.int32(throttle) }
        writer.array(brokers, version: version)
        if version >= 2 { writer.string(clusterID) }
        if version >= 1 { writer.int32(controller) }
        writer.array(topics, version: version)
        if 8...10 ~= version { writer.int32(operations) }
    }
}

/// The cluster without its topics.
struct DescribeClusterRequest: Hashable {
    let wantsClusterOperations: Bool
    /// 1 for brokers, 2 for controllers.
    let endpointType: Int8
}

extension DescribeClusterRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        wantsClusterOperations = try reader.bool()
        endpointType = version >= 1 ? try reader.int8() : 1
    }
}

/// Its id and where it is.
struct DescribeClusterResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    var error: ErrorCode = .none
    var message: String?
    var endpointType: Int8 = 1
    var clusterID: String
    var controller: Int32
    var brokers: [MetadataResponse.Broker]
    var operations = AuthorizedOperations.omitted

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.error(error)
        writer.string(message)
        if version >= 1 { writer.int8(endpointType) }
        writer.string(clusterID)
        writer.int32(controller)
        // A broker has the same fields as in the later versions of Metadata.
        writer.array(brokers, version: ApiKey.metadata.versions.upperBound)
        writer.int32(operations)
    }
}
