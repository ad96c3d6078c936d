/// What a handler throws to say what should become of an event.
public struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        case retry(after: Duration?)
        case permanent
        case undecodable
        case schemaInvalid
        case late
        case expired
        case unavailable(dependency: String)
    }

    package let kind: Kind
    /// Why, in words for whoever reads the dead letter. It is kept with the event and shown: no secrets in here.
    public let reason: String

    package init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    /// It may work later: some tries at once, then the retry topics, then a dead letter. `after` is when trying again
    /// makes sense at the earliest.
    public static func retry(_ reason: String, after: Duration? = nil) -> Refusal {
        Refusal(.retry(after: after), reason)
    }

    /// It will never work: a dead letter at once.
    public static func permanent(_ reason: String) -> Refusal { Refusal(.permanent, reason) }

    /// The value cannot be read: a dead letter at once.
    public static func undecodable(_ reason: String) -> Refusal { Refusal(.undecodable, reason) }

    /// The value is not what its schema says: a dead letter at once.
    public static func schemaInvalid(_ reason: String) -> Refusal { Refusal(.schemaInvalid, reason) }

    /// The event came too late to count: a dead letter at once.
    public static func late(_ reason: String) -> Refusal { Refusal(.late, reason) }

    /// The event was meant for a time that is over: a dead letter at once.
    public static func expired(_ reason: String) -> Refusal { Refusal(.expired, reason) }

    /// Something that the handler needs is down. Nothing is spent: the handler pauses and probes until it is back.
    public static func unavailable(_ dependency: String, _ reason: String) -> Refusal {
        Refusal(.unavailable(dependency: dependency), reason)
    }

    public var description: String { reason }
}
