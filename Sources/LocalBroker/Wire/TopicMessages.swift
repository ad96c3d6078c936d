/// New topics.
struct CreateTopicsRequest: Hashable {
    /// The replicas that a client chose itself for a partition.
    struct Assignment: Hashable {
        let partition: Int32
        let brokers: [Int32]
    }

    struct Config: Hashable {
        let name: String
        let value: String?
    }

    struct Topic: Hashable {
        let name: String
        /// -1 for the broker's default, or when there are assignments.
        let partitions: Int32
        let replicationFactor: Int16
        let assignments: [Assignment]
        let configs: [Config]
    }

    let topics: [Topic]
    let timeout: Int32
    /// Check, but create nothing.
    let validateOnly: Bool
}

extension CreateTopicsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        topics = try reader.array(version: version)
        timeout = try reader.int32()
        validateOnly = version >= 1 ? try reader.bool() : false
    }
}

extension CreateTopicsRequest.Topic: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        partitions = try reader.int32()
        replicationFactor = try reader.int16()
        assignments = try reader.array(version: version)
        configs = try reader.array(version: version)
    }
}

extension CreateTopicsRequest.Assignment: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        partition = try reader.int32()
        brokers = try reader.int32s()
    }
}

extension CreateTopicsRequest.Config: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        value = try reader.nullableString()
    }
}

/// What was created; from version 5 on also how.
struct CreateTopicsResponse: WireEncodable, Hashable {
    struct Config: WireEncodable, Hashable {
        let name: String
        let value: String?
        var isReadOnly = false
        var source = ConfigSource.defaultConfig
        var isSensitive = false

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.string(value)
            writer.bool(isReadOnly)
            writer.int8(source.rawValue)
            writer.bool(isSensitive)
        }
    }

    struct Topic: WireEncodable, Hashable {
        let name: String
        var id: UUID128 = .zero
        var error: ErrorCode = .none
        var message: String?
        /// -1 with an error.
        var partitions: Int32 = -1
        /// -1 with an error.
        var replicationFactor: Int16 = -1
        /// Nil with an error.
        var configs: [Config]?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(name)
            if version >= 7 { writer.uuid(id) }
            writer.error(error)
            if version >= 1 { writer.string(message) }
            if version >= 5 {
                writer.int32(partitions)
                writer.int16(replicationFactor)
                writer.array(configs, version: version)
            }
        }
    }

    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 2 { writer.int32(throttle) }
        writer.array(topics, version: version)
    }
}

/// Removes topics with all that is in them.
struct DeleteTopicsRequest: Hashable {
    let topics: [String]
    let timeout: Int32
}

extension DeleteTopicsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        topics = try reader.strings()
        timeout = try reader.int32()
    }
}

/// What was removed.
struct DeleteTopicsResponse: WireEncodable, Hashable {
    struct Topic: WireEncodable, Hashable {
        let name: String
        var error: ErrorCode = .none
        var message: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.error(error)
            if version >= 5 { writer.string(message) }
        }
    }

    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        if version >= 1 { writer.int32(throttle) }
        writer.array(topics, version: version)
    }
}

/// Adds partitions to topics.
struct CreatePartitionsRequest: Hashable {
    /// The replicas that a client chose itself for a new partition.
    struct Assignment: Hashable {
        let brokers: [Int32]
    }

    struct Topic: Hashable {
        let name: String
        /// How many there shall be.
        let count: Int32
        /// One for each new partition; nil leaves it to the broker.
        let assignments: [Assignment]?
    }

    let topics: [Topic]
    let timeout: Int32
    /// Check, but add nothing.
    let validateOnly: Bool
}

extension CreatePartitionsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        topics = try reader.array(version: version)
        timeout = try reader.int32()
        validateOnly = try reader.bool()
    }
}

extension CreatePartitionsRequest.Topic: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        count = try reader.int32()
        assignments = try reader.nullableArray(version: version)
    }
}

extension CreatePartitionsRequest.Assignment: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        brokers = try reader.int32s()
    }
}

/// What was added.
struct CreatePartitionsResponse: WireEncodable, Hashable {
    struct Topic: WireEncodable, Hashable {
        let name: String
        var error: ErrorCode = .none
        var message: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.error(error)
            writer.string(message)
        }
    }

    var throttle: Int32 = 0
    var topics: [Topic]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(topics, version: version)
    }
}
