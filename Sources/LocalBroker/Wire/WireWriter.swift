/// Bytes of a frame that live elsewhere: `count` bytes of what the owner knows as `payload` come after the first
/// `position` of the frame's own bytes.
struct WireSplice: Hashable, Sendable {
    let position: Int
    let payload: Int
    let count: Int
}

/// A frame that is ready to be sent: its own bytes, and where others come between them, in order.
struct WireFrame: Hashable, Sendable {
    let bytes: [UInt8]
    let splices: [WireSplice]
}

/// Writes one response frame.
///
/// Everything small goes into one array of bytes. Records do not: a fetch answers with megabytes that lie in files, and
/// they are to go from there to the socket without passing through here. So a writer notes *splices*, which count in every
/// length but are put in by whoever sends the frame.
struct WireWriter {
    private var bytes: [UInt8]
    private var splices: [WireSplice] = []
    private var splicedBytes = 0
    /// Whether compact lengths and tagged fields are used.
    let isFlexible: Bool

    /// A frame that has its header already. The storage of `buffer` is used again, so that a connection need not allocate
    /// for each answer; what it holds is dropped.
    init(answering header: RequestHeader, reusing buffer: consuming [UInt8] = []) {
        bytes = buffer
        bytes.removeAll(keepingCapacity: true)
        isFlexible = header.isFlexible
        int32(0)  // the length, known at the end
        int32(header.correlationID)
        // A client cannot know which versions the broker speaks before this answer, so that it has the plain header always.
        if header.api != .apiVersions { noTaggedFields() }
    }

    /// Puts the length in its place and gives the frame out; nil for more than the protocol can say in one frame, 2 GiB.
    consuming func finish() -> WireFrame? {
        guard let length = Int32(exactly: bytes.count - 4 + splicedBytes) else { return nil }
        unsafe withUnsafeBytes(of: length.bigEndian) { prefix in
            for index in 0..<4 { unsafe bytes[index] = prefix[index] }
        }
        return WireFrame(bytes: bytes, splices: splices)
    }

    // MARK: Numbers

    private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func int8(_ value: Int8) { integer(value) }
    mutating func int16(_ value: Int16) { integer(value) }
    mutating func int32(_ value: Int32) { integer(value) }
    mutating func int64(_ value: Int64) { integer(value) }
    mutating func bool(_ value: Bool) { integer(value ? 1 : 0 as Int8) }
    mutating func error(_ code: ErrorCode) { integer(code.rawValue) }

    mutating func uuid(_ value: UUID128) {
        integer(value.high)
        integer(value.low)
    }

    mutating func uvarint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    // MARK: Strings and bytes

    private mutating func compactLength(_ length: Int?) {
        guard let length else { return uvarint(0) }
        guard let length = UInt32(exactly: length + 1) else { preconditionFailure("a field of \(length) bytes") }
        uvarint(length)
    }

    /// The length of bytes, or the count of an array.
    private mutating func length(_ length: Int?) {
        if isFlexible { return compactLength(length) }
        guard let length = Int32(exactly: length ?? -1) else { preconditionFailure("a field of \(length ?? 0) bytes") }
        int32(length)
    }

    /// Names come from requests and so fit. Messages may quote several of them: what is beyond the limit is cut off rather
    /// than the whole answer lost.
    mutating func string(_ value: String?) {
        guard var text = value else { return isFlexible ? uvarint(0) : int16(-1) }
        if text.utf8.count > Int(Int16.max) {
            // A character that the cut goes through becomes U+FFFD, which takes up to two bytes more than what it replaces.
            text = String(decoding: text.utf8.prefix(Int(Int16.max) - 2), as: UTF8.self)
        }
        if isFlexible { compactLength(text.utf8.count) } else { int16(Int16(text.utf8.count)) }
        bytes.append(contentsOf: text.utf8)
    }

    mutating func bytes(_ value: [UInt8]) {
        length(value.count)
        bytes.append(contentsOf: value)
    }

    /// Records that live elsewhere, or none. None is an empty set, not null: every client takes that.
    mutating func records(_ records: FetchResponse.Records) {
        switch records {
        case .none: length(0)
        case .spliced(let payload, let count):
            length(count)
            splice(payload, count: count)
        }
    }

    /// Notes that `count` bytes which live elsewhere come at this place.
    mutating func splice(_ payload: Int, count: Int) {
        guard count > 0 else { return }
        splices.append(WireSplice(position: bytes.count, payload: payload, count: count))
        splicedBytes += count
    }

    // MARK: Arrays and structures

    mutating func array<Element: WireEncodable>(_ elements: [Element]?, version: Int16) {
        length(elements?.count)
        for element in elements ?? [] { element.encode(into: &self, version: version) }
    }

    mutating func int32s(_ values: [Int32]) {
        length(values.count)
        for value in values { int32(value) }
    }

    mutating func strings(_ values: [String]) {
        length(values.count)
        for value in values { string(value) }
    }

    /// Ends a structure of a flexible version: all that we have to say is in the ordinary fields.
    mutating func noTaggedFields() {
        if isFlexible { uvarint(0) }
    }
}
