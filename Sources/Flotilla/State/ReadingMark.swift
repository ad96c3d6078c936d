internal import Platform

/// Up to when all is applied that a partition had: the log is asked where it ends, and once everything before that is
/// applied, nothing of the time before the question can come any more.
///
/// Times of records do not tell this, because nothing says that a later one is on its way; nor does it that nothing comes,
/// because a log that is away brings nothing either.
struct ReadingMark: Sendable {
    /// Whether anybody has asked for it since the log was asked last.
    var isWanted = false
    private var isAsking = false
    /// What the log answered that is not reached yet.
    private var ahead: (asked: Timestamp, low: Int64, high: Int64)?
    private var through: Timestamp?

    /// `next`: the offset that is applied next.
    mutating func look(next: Int64) -> Timestamp? {
        // Of a log that has been emptied nothing is left to come.
        if let found = ahead, next >= found.high || found.low >= found.high {
            (through, ahead) = (found.asked, nil)
        }
        return through
    }

    /// Whether the log is to be asked now; then `answered` follows.
    mutating func mayAsk() -> Bool {
        guard isWanted, !isAsking, ahead == nil else { return false }
        (isWanted, isAsking) = (false, true)
        return true
    }

    /// `bounds`: nil when there was no answer.
    mutating func answered(_ bounds: (low: Int64, high: Int64)?, asked: Timestamp) {
        isAsking = false
        ahead = bounds.map { (asked, $0.low, $0.high) }
    }
}
