/// What comes before every request: which message, in which version, for whom.
struct RequestHeader: Hashable, Sendable {
    let api: ApiKey
    /// The version in which the body is read and the answer written.
    ///
    /// It is the one that the client sent, but for one case: a client sends ApiVersions first, in a version that it can
    /// only hope for. When that is too new, the answer (which carries our versions, KIP-511) is in version 0.
    let version: Int16
    let correlationID: Int32
    let clientID: String?
    /// The version asked for is newer than ours; only ever true of ApiVersions. The body is not to be read.
    let isTooNew: Bool

    var isFlexible: Bool { api.isFlexible(version) }

    init(api: ApiKey, version: Int16, correlationID: Int32, clientID: String? = nil, isTooNew: Bool = false) {
        self.api = api
        self.version = version
        self.correlationID = correlationID
        self.clientID = clientID
        self.isTooNew = isTooNew
    }

    /// Reads the header and tells the reader in which encoding the body is.
    ///
    /// An API or version that is not ours is a fault: its layout is unknown, so there is nothing to answer with.
    init(from reader: inout WireReader) throws(WireFault) {
        let key = try reader.int16()
        guard let api = ApiKey(rawValue: key) else { throw reader.fault(.unknownAPI(key)) }
        let version = try reader.int16()
        let isTooNew = api == .apiVersions && version > api.versions.upperBound
        guard isTooNew || api.versions.contains(version) else {
            throw reader.fault(.unsupportedVersion(api, version))
        }
        let correlationID = try reader.int32()
        // This string is never compact, so that any broker can read it in any version.
        let clientID = try reader.fixedNullableString()
        self.init(
            api: api,
            version: isTooNew ? 0 : version,
            correlationID: correlationID,
            clientID: clientID,
            isTooNew: isTooNew
        )
        reader.isFlexible = isFlexible
        try reader.skipTaggedFields()
    }
}
