internal import Platform
internal import Synchronization

/// Publishes records and tells what became of each.
///
/// Records go into librdkafka's queue on the caller's thread, which takes a copy and never waits: a full queue is the
/// error `.queueFull` at once. Acknowledgements come back through one thread of the producer's own, asleep until there
/// are some; one wake-up tells all that have come.
///
/// Important: `close()` before the last reference goes; a producer that was never closed ends the process.
public final class Producer: Sendable {
    private let core: ProducerCore
    private let thread: Mutex<OSThread?>

    /// Starts a producer; it connects by itself. Throws what is wrong with the configuration, all of it.
    public init(_ configuration: ProducerConfiguration) throws(KafkaFault) {
        let core = try ProducerCore(configuration)
        do throws(SystemError) {
            thread = Mutex(try OSThread(name: "kafka-producer") { core.run() })
        } catch {
            core.tearDown()
            throw KafkaFault(system: error, at: KafkaFault.Site("open producer"))
        }
        self.core = core
    }

    deinit { precondition(core.isClosed, "a producer is to be closed before it goes") }

    /// Publishes one record and waits for its acknowledgement.
    ///
    /// A cancelled task gets `.cancelled` at once, and the record may still be written.
    public func send(_ record: OutgoingRecord) async throws(KafkaFault) -> Delivery {
        let reply = Reply<Delivery>("produce")
        try enqueue(record) { reply.fill($0) }
        return try await reply.value()
    }

    /// Publishes the records in their order and waits until each has its verdict.
    ///
    /// The first record that finds the queue full is refused together with all that follow it, so that trying those
    /// again keeps the order. Throws only `.cancelled` and `.closed`; a cancelled task's records may still be written.
    public func send(_ batch: OutgoingBatch) async throws(KafkaFault) -> DeliveryReport {
        let reply = Reply<DeliveryReport>("produce")
        try enqueue(batch) { reply.fill(.success($0)) }
        return try await reply.value()
    }

    /// Publishes one record; `completion` is called once with what became of it, mostly on the producer's thread, so
    /// it must be quick. What is known at once is thrown, and `completion` is not called.
    public func enqueue(
        _ record: OutgoingRecord, completion: @escaping @Sendable (Result<Delivery, KafkaFault>) -> Void
    ) throws(KafkaFault) {
        try core.submit(record, completion)
    }

    /// Publishes the records in their order; `completion` is called once when each has its verdict.
    public func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        try core.submit(batch, completion)
    }

    /// Sends what lingers and waits until everything published so far, and meanwhile, has its verdict.
    public func flush() async throws(KafkaFault) {
        try await core.mailbox.ask("flush") { core, reply in core.flush(reply) }.value()
    }

    /// Accepts nothing more, waits for what is under way, gives up what is left when the time is over, and ends. Each
    /// record still gets its verdict, `.purged` when it was given up.
    public func close(within budget: Duration = .seconds(10)) async {
        let reply: Reply<Void> = core.mailbox.ask("close") { core, reply in
            core.close(by: Time.monotonicMilliseconds + budget.patience, reply)
        }
        // Refused only when it is closed already.
        try? await reply.certainValue()
        thread.withLock { $0.take() }?.join()
    }
}
