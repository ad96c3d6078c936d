/// A structure that can be read from a request.
///
/// A type reads its own fields in `init(fieldsOf:version:)`; everybody else asks for `init(from:version:)`, which also
/// passes over the tagged fields that end every structure of a flexible version. So no message can forget them.
protocol WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault)
}

extension WireDecodable {
    init(from reader: inout WireReader, version: Int16) throws(WireFault) {
        try self.init(fieldsOf: &reader, version: version)
        try reader.skipTaggedFields()
    }
}

/// A structure that can be written into a response: the mirror of `WireDecodable`.
protocol WireEncodable {
    func encodeFields(into writer: inout WireWriter, version: Int16)
}

extension WireEncodable {
    func encode(into writer: inout WireWriter, version: Int16) {
        encodeFields(into: &writer, version: version)
        writer.noTaggedFields()
    }

    /// The whole frame that answers a request; nil when it would be larger than the protocol can say.
    func frame(answering header: RequestHeader, reusing buffer: consuming [UInt8] = []) -> WireFrame? {
        var writer = WireWriter(answering: header, reusing: buffer)
        encode(into: &writer, version: header.version)
        return writer.finish()
    }
}

/// What is said of some partitions of one topic: the shape in which most messages name partitions.
struct PerTopic<Partition: Hashable>: Hashable {
    let name: String
    var partitions: [Partition]
}

extension PerTopic: WireDecodable where Partition: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        partitions = try reader.array(version: version)
    }
}

extension PerTopic: WireEncodable where Partition: WireEncodable {
    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.string(name)
        writer.array(partitions, version: version)
    }
}

/// Some partitions of one topic, by number alone.
struct PartitionNumbers: Hashable {
    let name: String
    let partitions: [Int32]
}

extension PartitionNumbers: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        name = try reader.string()
        partitions = try reader.int32s()
    }
}

/// A partition and what became of it: all that many responses say.
struct PartitionOutcome: WireEncodable, Hashable {
    let index: Int32
    var error: ErrorCode = .none

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(index)
        writer.error(error)
    }
}
