/// Bytes that are not the message they claim to be: what is wrong, and where in the frame.
///
/// A peer that sends such bytes is told nothing, since no answer can be trusted to be understood: one line in the log, and
/// its connection is closed.
struct WireFault: Error, Hashable, CustomStringConvertible {
    enum Reason: Hashable {
        case truncated(needed: Int)
        case negativeLength(Int)
        case nullWhereRequired
        case tooLong(Int)
        case varintTooLong
        case invalidUTF8
        case tooManyElements(Int)
        case taggedFieldsOutOfOrder
        case unknownAPI(Int16)
        case unsupportedVersion(ApiKey, Int16)
    }

    let reason: Reason
    /// Where in the frame reading stopped, counted from behind the length prefix.
    let position: Int

    var description: String {
        let what =
            switch reason {
            case .truncated(let needed): "\(needed) more bytes are needed"
            case .negativeLength(let length): "the length \(length) is negative"
            case .nullWhereRequired: "a value that is required is null"
            case .tooLong(let length): "the length \(length) is beyond what the protocol allows"
            case .varintTooLong: "a variable-length integer does not end"
            case .invalidUTF8: "a string is not UTF-8"
            case .tooManyElements(let count): "an array of \(count) elements cannot be in this frame"
            case .taggedFieldsOutOfOrder: "tagged fields repeat or are out of order"
            case .unknownAPI(let key): "API key \(key) is not known here"
            case .unsupportedVersion(let api, let version): "version \(version) of \(api) is not supported"
            }
        return "malformed request at byte \(position): \(what)"
    }
}
