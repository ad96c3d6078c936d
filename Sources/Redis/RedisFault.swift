/// Why Redis did not do what it was asked.
public struct RedisFault: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// No connection, or it broke, or the answer did not come in time.
        case unreachable
        /// It is there, and says that it cannot for now: loading, a replica, too many clients.
        case unready
        /// It takes no more writes: out of memory, or unable to save.
        case full
        /// It does not know us.
        case denied
        /// The script is not loaded there.
        case noScript
        /// What was asked is wrong.
        case refused
        /// What came back is not Redis' protocol.
        case garbled
        case closed
    }

    public let kind: Kind
    public let reason: String
    /// Whether it may have been done all the same: it was sent, and no answer came.
    public let mayHaveHappened: Bool

    public init(_ kind: Kind, _ reason: String, mayHaveHappened: Bool = false) {
        self.kind = kind
        self.reason = reason
        self.mayHaveHappened = mayHaveHappened
    }

    public var isRetriable: Bool {
        switch kind {
        case .unreachable, .unready, .full, .garbled, .noScript: true
        case .denied, .refused, .closed: false
        }
    }

    public var description: String { "redis: \(reason)" }

    /// An error that Redis answered: its first word is its kind.
    init(answered text: String) {
        let word = text.prefix { $0 != " " }
        let kind: Kind =
            switch word {
            case "LOADING", "BUSY", "MASTERDOWN", "READONLY", "TRYAGAIN", "CLUSTERDOWN": .unready
            case "OOM", "MISCONF": .full
            case "NOAUTH", "WRONGPASS", "NOPERM": .denied
            case "NOSCRIPT": .noScript
            case _ where text.hasPrefix("ERR max number of clients"): .unready
            case _ where text.hasPrefix("ERR invalid password"): .denied
            case _: .refused
            }
        self.init(kind, text)
    }
}
