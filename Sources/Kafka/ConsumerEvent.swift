internal import Synchronization

/// What a consumer has to tell.
public enum ConsumerEvent: Sendable {
    case records(RecordBatch)
    /// These partitions are read from now on.
    case assigned([TopicPartition])
    /// These partitions are to be given up, once the revocation is answered. No record of them comes any more.
    case revoked(Revocation)
    /// These partitions are gone already: the group went on without this member. What was not committed is someone
    /// else's now, and committing it fails.
    case lost([TopicPartition])
    /// Everything up to this offset has been read.
    case end(TopicPartition, Offset)
    /// Something is wrong. Unless it is fatal, reading goes on.
    case fault(KafkaFault)
}

/// Partitions that wait to be given up: finish and commit what is under way, then call `done()`.
///
/// The group stands still until then, so the wait is bounded by `ConsumerConfiguration.drainTimeout`. Letting go of
/// the last reference is an answer too.
public final class Revocation: Sendable {
    public let partitions: [TopicPartition]
    private let answer: Mutex<(@Sendable () -> Void)?>

    package init(_ partitions: [TopicPartition], answer: @escaping @Sendable () -> Void) {
        self.partitions = partitions
        self.answer = Mutex(answer)
    }

    deinit { done() }

    /// Gives the partitions up. Only the first call counts.
    public func done() {
        answer.withLock { $0.take() }?()
    }
}
