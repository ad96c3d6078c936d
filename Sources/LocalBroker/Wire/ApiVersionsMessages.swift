/// The first request of a connection: which versions does the broker speak?
struct ApiVersionsRequest: Hashable {
    let clientSoftwareName: String
    let clientSoftwareVersion: String
}

extension ApiVersionsRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        clientSoftwareName = version >= 3 ? try reader.string() : ""
        clientSoftwareVersion = version >= 3 ? try reader.string() : ""
    }
}

/// All that is advertised. A request that was too new gets the same with UNSUPPORTED_VERSION, in version 0; among the APIs
/// is ApiVersions itself, by which the client sees how to ask again (KIP-511).
struct ApiVersionsResponse: WireEncodable, Hashable {
    struct Api: WireEncodable, Hashable {
        let key: ApiKey

        func encodeFields(into writer: inout WireWriter, version: Int16) {
            writer.int16(key.rawValue)
            writer.int16(key.versions.lowerBound)
            writer.int16(key.versions.upperBound)
        }
    }

    private static let advertised = ApiKey.allCases.filter(\.isAdvertised).map(Api.init)

    let error: ErrorCode
    var throttle: Int32 = 0

    init(answering header: RequestHeader) {
        error = header.isTooNew ? .unsupportedVersion : .none
    }

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.error(error)
        writer.array(Self.advertised, version: version)
        if version >= 1 { writer.int32(throttle) }
    }
}

/// What SASL mechanism the client would use. None is spoken: UNSUPPORTED_SASL_MECHANISM and an empty list.
struct SaslHandshakeRequest: Hashable {
    let mechanism: String
}

extension SaslHandshakeRequest: WireDecodable {
    init(fieldsOf reader: inout WireReader, version: Int16) throws(WireFault) {
        mechanism = try reader.string()
    }
}

/// The refusal of SASL.
struct SaslHandshakeResponse: WireEncodable, Hashable {
    var error: ErrorCode = .unsupportedSaslMechanism
    var mechanisms: [String] = []

    func encodeFields(into writer: inout WireWriter, version: Int16) {
        writer.error(error)
        writer.strings(mechanisms)
    }
}
