/// Why a call of a handler came to nothing, or why a record never got to one.
package enum Failure: Hashable, Sendable {
    /// It may pass. `after` is when trying again makes sense at the earliest.
    case retry(after: Duration?)
    /// The handler's deadline was over.
    case timeout
    case permanent
    case undecodable
    case schemaInvalid
    case late
    case expired
    /// An output of it is larger than its topic takes.
    case tooLarge
    /// Its handling ended the process, again and again.
    case crashLoop
    /// An operator said so.
    case skipped
    /// Something that the handler needs is down: not the record's fault.
    case unavailable(dependency: String)
    /// The process stops or the partition goes: not an attempt.
    case cancelled
}

/// Why a record is a dead letter, as its header says it.
package enum DeadLetterReason: String, Hashable, Sendable, CaseIterable {
    case exhausted, permanent, undecodable
    case schemaInvalid = "schema-invalid"
    case timeout
    case crashLoop = "crash-loop"
    case tooLarge = "too-large"
    case expired, late, skipped
}
