internal import CSimdjson

/// Why a text is no JSON, or not the JSON that was asked for.
public struct JSONFault: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// Not JSON.
        case syntax
        /// Not UTF-8, or an escape that is half a character.
        case encoding
        /// A number that neither 64 bits nor a `Double` can hold.
        case numberRange
        /// Nested too deep.
        case tooDeep
        case tooLarge
        case noMemory
        /// JSON, but not the type that it was to be decoded as.
        case mismatch
    }

    public let kind: Kind
    /// For people: what is wrong.
    public let reason: String
    /// The byte of the text where it is wrong; nil when that is not known.
    public let offset: Int?

    public init(_ kind: Kind, _ reason: String, offset: Int? = nil) {
        self.kind = kind
        self.reason = reason
        self.offset = offset
    }

    public var description: String { offset.map { "\(reason) at byte \($0)" } ?? reason }

    /// What the parser does not tell a second, slower look does: it stops at the first byte that is wrong.
    init(parserCode code: Int32, text: borrowing RawSpan) {
        if code == Int32(FLOTILLA_JSON_NO_MEMORY) {
            self.init(.noMemory, "no memory for a text of \(text.byteCount) bytes")
            return
        }
        if let found = JSONFault.find(in: text) {
            self = found
            return
        }
        let reason = unsafe flotilla_json_error(code).map { unsafe String(cString: $0) } ?? "not JSON"
        self.init(.syntax, reason)
    }
}
