/// Why something that was asked of Postgres did not happen.
public struct PostgresFault: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// Away, starting, stopping, full or read-only: the same may work later.
        case unreachable
        /// It took too long, here or there.
        case timedOut
        /// The transaction met another one and was rolled back: the whole of it may be tried again.
        case conflict
        /// A constraint does not hold.
        case constraint
        /// The data is not what its type can hold.
        case data
        /// A statement that this database does not understand, or may not run: a mistake of the program or its set-up.
        case statement
        /// It does not let us in.
        case refused
        /// Whoever asked did not want to wait any longer.
        case cancelled
        /// The pool is closed.
        case closed
        /// Raised by a statement itself, with an SQLSTATE of its own.
        case raised
    }

    public let kind: Kind
    public let reason: String
    /// The five letters that Postgres has for it.
    public let state: String?
    /// The constraint that does not hold.
    public let constraint: String?
    /// Whether it may have happened all the same: the answer was lost.
    public let mayHaveHappened: Bool

    package init(
        _ kind: Kind, _ reason: String, state: String? = nil, constraint: String? = nil, mayHaveHappened: Bool = false
    ) {
        self.kind = kind
        self.reason = reason
        self.state = state
        self.constraint = constraint
        self.mayHaveHappened = mayHaveHappened
    }

    /// What the server answered.
    init(state: String, message: String, constraint: String?) {
        self.init(Self.kind(of: state), message, state: state, constraint: constraint)
    }

    /// Whether the same may work later with no change to it or to the database.
    public var isRetriable: Bool {
        switch kind {
        case .unreachable, .timedOut, .conflict: true
        case _: false
        }
    }

    public var description: String {
        "postgres: \(reason)\(state.map { " (SQLSTATE \($0))" } ?? "")"
    }

    private static func kind(of state: String) -> Kind {
        switch state {
        case "40001", "40P01": return .conflict
        case "57014", "55P03", "25P03", "57P05": return .timedOut
        case "25006": return .unreachable
        case "0A000": return .statement
        case _: break
        }
        switch state.prefix(2) {
        case "08", "53", "57", "58", "F0", "XX": return .unreachable
        // 54: a value is too long for an index, or what is asked too deep: so it will be each time.
        case "22", "54": return .data
        case "23": return .constraint
        case "28", "3D": return .refused
        case "FL", "P0": return .raised
        case _: return .statement
        }
    }
}
