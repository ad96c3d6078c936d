// The ACL APIs: read as far as an answer needs, and refused with SECURITY_DISABLED.

/// Which ACLs to find: what it may match is a null.
struct AclFilter: Hashable {
    let resourceType: Int8
    let resourceName: String?
    let patternType: Int8
    let principal: String?
    let host: String?
    let operation: Int8
    let permission: Int8
}

extension AclFilter: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resourceType = try reader.int8()
        resourceName = try reader.nullableString()
        patternType = version >= 1 ? try reader.int8() : Acl.literalPattern
        principal = try reader.nullableString()
        host = try reader.nullableString()
        operation = try reader.int8()
        permission = try reader.int8()
    }
}

/// An ACL to be made.
struct Acl: Hashable {
    /// A resource by its exact name: all that version 0 can say.
    static let literalPattern: Int8 = 3

    let resourceType: Int8
    let resourceName: String
    let patternType: Int8
    let principal: String
    let host: String
    let operation: Int8
    let permission: Int8
}

extension Acl: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        resourceType = try reader.int8()
        resourceName = try reader.string()
        patternType = version >= 1 ? try reader.int8() : Self.literalPattern
        principal = try reader.string()
        host = try reader.string()
        operation = try reader.int8()
        permission = try reader.int8()
    }
}

/// Asks for ACLs.
struct DescribeAclsRequest: Hashable {
    let filter: AclFilter
}

extension DescribeAclsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        // The filter's fields are the message's own: no structure, so no tagged fields, of its own.
        filter = try AclFilter(fieldsOf: &reader, version: version)
    }
}

/// The refusal, with no resources.
struct DescribeAclsResponse: WireEncodable, Hashable {
    var throttle: Int32 = 0
    let error: ErrorCode
    var message: String?

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.error(error)
        writer.string(message)
        writer.int32s([])
    }
}

/// Makes ACLs.
struct CreateAclsRequest: Hashable {
    let acls: [Acl]

    func refused(_ error: ErrorCode, _ message: String?) -> CreateAclsResponse {
        CreateAclsResponse(results: acls.map { _ in .init(error: error, message: message) })
    }
}

extension CreateAclsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        acls = try reader.array(version: version)
    }
}

/// The refusal, ACL by ACL.
struct CreateAclsResponse: WireEncodable, Hashable {
    struct Result: WireEncodable, Hashable {
        let error: ErrorCode
        let message: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.string(message)
        }
    }

    var throttle: Int32 = 0
    let results: [Result]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(results, version: version)
    }
}

/// Removes ACLs.
struct DeleteAclsRequest: Hashable {
    let filters: [AclFilter]

    func refused(_ error: ErrorCode, _ message: String?) -> DeleteAclsResponse {
        DeleteAclsResponse(results: filters.map { _ in .init(error: error, message: message) })
    }
}

extension DeleteAclsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        filters = try reader.array(version: version)
    }
}

/// The refusal, filter by filter, with nothing that matched.
struct DeleteAclsResponse: WireEncodable, Hashable {
    struct Result: WireEncodable, Hashable {
        let error: ErrorCode
        let message: String?

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.error(error)
            writer.string(message)
            writer.int32s([])
        }
    }

    var throttle: Int32 = 0
    let results: [Result]

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.int32(throttle)
        writer.array(results, version: version)
    }
}
