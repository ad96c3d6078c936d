/// What a setting belongs to. Others than these exist, and are sent back as they came.
struct ConfigResource: Hashable {
    static let topicType: Int8 = 2
    static let brokerType: Int8 = 4

    let type: Int8
    let name: String

    var isTopic: Bool { type == Self.topicType }
    var isBroker: Bool { type == Self.brokerType }

    init(type: Int8, name: String) {
        self.type = type
        self.name = name
    }

    fileprivate init(from reader: inout WireReader) throws(WireFault) {
        type = try reader.int8()
        name = try reader.string()
    }

    fileprivate func encode(into writer: inout WireWriter) {
        writer.int8(type)
        writer.string(name)
    }
}

/// Where a setting's value comes from.
enum ConfigSource: Int8, Sendable {
    case topicConfig = 1
    case staticBrokerConfig = 4
    case defaultConfig = 5
}

/// Asks for settings.
struct DescribeConfigsRequest: Hashable {
    struct Resource: Hashable {
        let resource: ConfigResource
        /// Nil asks for all.
        let names: [String]?
    }

    let resources: [Resource]
    let wantsSynonyms: Bool
    let wantsDocumentation: Bool
}

extension DescribeConfigsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resources = try reader.array(version: version)
        wantsSynonyms = version >= 1 ? try reader.bool() : false
        wantsDocumentation = version >= 3 ? try reader.bool() : false
    }
}

extension DescribeConfigsRequest.Resource: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resource = try ConfigResource(from: &reader)
        names = try reader.nullableStrings()
    }
}

/// Settings with their values.
struct DescribeConfigsResponse: WireEncodable, Hashable {
    /// A value that would hold if those before it were taken away.
    struct Synonym: WireEncodable, Hashable {
        let name: String
        let value: String?
        let source: ConfigSource

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.string(value)
            writer.int8(source.rawValue)
        }
    }

    struct Config: WireEncodable, Hashable {
        let name: String
        let value: String?
        var isReadOnly = false
        var source = ConfigSource.defaultConfig
        var isSensitive = false
        var synonyms: [Synonym] = []
        /// Kafka's number for the value's type; 0 for unknown.
        var type: Int8 = 0
        var documentation: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.string(value)
            writer.bool(isReadOnly)
            if version == 0 {
                writer.bool(source == .defaultConfig)
            } else {
                writer.int8(source.rawValue)
            }
            writer.bool(isSensitive)
            if version >= 1 { writer.array(synonyms, version: version) }
            if version >= 3 {
                writer.int8(type)
                writer.string(documentation)
            }
        }
    }

    struct Resource: WireEncodable, Hashable {
        var error: ErrorCode = .none
        var message: String?
        let resource: ConfigResource
        var configs: [Config] = []

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.string(message)
            resource.encode(into: &writer)
            writer.array(configs, version: version)
        }
    }

    var throttle: Int32 = 0
    var resources: [Resource]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(resources, version: version)
    }
}

/// Replaces all that was set of a resource.
struct AlterConfigsRequest: Hashable {
    struct Config: Hashable {
        let name: String
        let value: String?
    }

    struct Resource: Hashable {
        let resource: ConfigResource
        let configs: [Config]
    }

    let resources: [Resource]
    /// Check, but change nothing.
    let validateOnly: Bool
}

extension AlterConfigsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resources = try reader.array(version: version)
        validateOnly = try reader.bool()
    }
}

extension AlterConfigsRequest.Resource: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resource = try ConfigResource(from: &reader)
        configs = try reader.array(version: version)
    }
}

extension AlterConfigsRequest.Config: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        value = try reader.nullableString()
    }
}

/// What was changed, by either of the two requests: they are answered alike.
struct AlterConfigsResponse: WireEncodable, Hashable {
    struct Resource: WireEncodable, Hashable {
        var error: ErrorCode = .none
        var message: String?
        let resource: ConfigResource

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.string(message)
            resource.encode(into: &writer)
        }
    }

    var throttle: Int32 = 0
    var resources: [Resource]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(resources, version: version)
    }
}

/// Changes single settings of a resource and leaves the others.
struct IncrementalAlterConfigsRequest: Hashable {
    enum Operation: Hashable {
        case set
        case delete
        case append
        case subtract
        case other(Int8)
    }

    struct Config: Hashable {
        let name: String
        let operation: Operation
        let value: String?
    }

    struct Resource: Hashable {
        let resource: ConfigResource
        let configs: [Config]
    }

    let resources: [Resource]
    /// Check, but change nothing.
    let validateOnly: Bool
}

extension IncrementalAlterConfigsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resources = try reader.array(version: version)
        validateOnly = try reader.bool()
    }
}

extension IncrementalAlterConfigsRequest.Resource: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resource = try ConfigResource(from: &reader)
        configs = try reader.array(version: version)
    }
}

extension IncrementalAlterConfigsRequest.Config: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        switch try reader.int8() {
        case 0: operation = .set
        case 1: operation = .delete
        case 2: operation = .append
        case 3: operation = .subtract
        case let number: operation = .other(number)
        }
        value = try reader.nullableString()
    }
}
