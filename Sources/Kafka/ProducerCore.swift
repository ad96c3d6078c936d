internal import CRdKafka
internal import Platform
internal import Synchronization

/// What a producer is made of, and the loop of the thread that owns it.
///
/// `submit` runs on callers' threads: librdkafka's produce is made for that, and a hop to the owner would cost more
/// than the copy. The owner alone serves the queue, flushes, purges and destroys; it destroys only when no submission
/// is open, and a submission stays open until its submitter has left librdkafka.
///
/// No lock is held while calling out: neither into librdkafka nor into completions.
@safe final class ProducerCore: @unchecked Sendable {
    // Unchecked: `flushes` and `closing` belong to the owner's thread; `client` is constant; the rest is in locks.
    let mailbox: Mailbox<ProducerCore>
    private let client: NativeClient
    private let hooks: ClientHooks
    private let deliveries = Mutex(DeliveryTable())
    private let topics: Mutex<TopicHandles>
    private let ended = Atomic<Bool>(false)

    private var flushes: [Reply<Void>] = []
    private var closing: Closing?

    /// A close under way.
    private struct Closing {
        var deadline: Int64
        var replies: [Reply<Void>]
        var hasPurged = false
    }

    init(_ configuration: ProducerConfiguration) throws(KafkaFault) {
        let site = KafkaFault.Site("open producer")
        do throws(SystemError) { mailbox = try Mailbox() } catch { throw KafkaFault(system: error, at: site) }
        let handle = unsafe try configuration.native().makeClient(RD_KAFKA_PRODUCER, at: site)
        client = unsafe NativeClient(handle: handle, queue: rd_kafka_queue_get_main(handle), bell: mailbox.bell)
        topics = Mutex(TopicHandles(client))
        hooks = configuration.client.hooks
    }

    var isClosed: Bool { ended.load(ordering: .acquiring) }

    // MARK: On callers' threads

    func submit(
        _ record: OutgoingRecord, _ completion: @escaping @Sendable (Result<Delivery, KafkaFault>) -> Void
    ) throws(KafkaFault) {
        let topic = record.topic
        let finished = try submit(OutgoingBatch(CollectionOfOne(record))) { outcomes, fatal in
            completion(outcomes[0].result(topic: topic, fatal: fatal))
        }
        guard let finished else { return }
        // Refused at once, or delivered before we could look.
        if case .failure(let fault) = finished.outcomes[0].result(topic: topic, fatal: fatal) { throw fault }
        finished.tell(finished.outcomes, nil)
    }

    func submit(
        _ batch: OutgoingBatch, _ completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        let topics = batch.topics
        let numbers = topics.count > 1 ? batch.entries.map(\.topic) : []
        let finished = try submit(batch) { outcomes, fatal in
            completion(
                DeliveryReport(
                    outcomes: outcomes, topics: topics, topicNumbers: numbers,
                    failureCount: outcomes.count { $0.code != 0 }, fatal: fatal))
        }
        if let finished { finished.tell(finished.outcomes, fatal) }
    }

    private var fatal: KafkaFault? { deliveries.withLock { $0.fatal } }

    /// Hands the records over; the submission itself when it is finished already.
    private func submit(
        _ batch: OutgoingBatch, _ tell: @escaping @Sendable ([DeliveryTable.Outcome], KafkaFault?) -> Void
    ) throws(KafkaFault) -> DeliveryTable.Finished? {
        guard let slot = deliveries.withLock({ $0.open(batch.count, tell: tell) }) else {
            throw .closed("produce")
        }
        let handles = unsafe topics.withLock { $0.handles(of: batch.topics) }
        var refused: [(index: Int, code: Int32)] = []
        var isFull = false
        NativeProduce.with(client) { produce in
            unsafe batch.bytes.withUnsafeBytes { bytes in
                for index in batch.entries.indices {
                    let entry = batch.entries[index]
                    let first = Int(entry.firstHeader)
                    let code: Int32 =
                        if isFull {
                            RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue
                        } else if let topic = unsafe handles[Int(entry.topic)] {
                            produce(
                                entry, headers: batch.headers[first..<first + Int(entry.headerCount)], bytes: bytes,
                                topic: topic, number: DeliveryTable.number(slot: slot, index: index))
                        } else {
                            RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION.rawValue
                        }
                    guard code != 0 else { continue }
                    isFull = isFull || code == RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue
                    refused.append((index, code))
                }
            }
        }
        let fatal =
            refused.contains { $0.code == RD_KAFKA_RESP_ERR__FATAL.rawValue }
            ? client.fatalFault(at: KafkaFault.Site("produce")) : nil
        let (finished, isWaitedFor) = deliveries.withLock { deliveries in
            if let fatal { deliveries.fatal = fatal }
            let finished = deliveries.submitted(slot, refused: refused)
            return (finished, deliveries.isEmpty && deliveries.isClosing)
        }
        // The owner may have been waiting for just this submitter.
        if isWaitedFor { mailbox.bell.ring() }
        return finished
    }

    // MARK: On the owner's thread

    func run() {
        while true {
            for job in mailbox.take() { job.run(self) }
            drain()
            if step(now: Time.monotonicMilliseconds) { break }
            mailbox.sleep(milliseconds: pause(now: Time.monotonicMilliseconds))
        }
        tearDown()
    }

    func flush(_ reply: Reply<Void>) { flushes.append(reply) }

    func close(by deadline: Int64, _ reply: Reply<Void>) {
        deliveries.withLock { $0.close() }
        var closing = closing ?? Closing(deadline: deadline, replies: [])
        closing.deadline = min(closing.deadline, deadline)
        closing.replies.append(reply)
        self.closing = closing
    }

    /// Ends the client. The owner's last act, or the only one where no owner could be started.
    func tearDown() {
        topics.withLock { $0.destroy() }
        client.destroy()
        mailbox.shut()
        ended.store(true, ordering: .releasing)
        for reply in flushes { reply.fill(.success(())) }
        for reply in closing?.replies ?? [] { reply.fill(.success(())) }
    }

    /// Goes on with flushing and closing; whether it is over.
    private func step(now: Int64) -> Bool {
        let isIdle = deliveries.withLock { $0.isEmpty }
        if isIdle {
            for reply in flushes { reply.fill(.success(())) }
            flushes = []
            return closing != nil
        }
        if let closing, now >= closing.deadline, !closing.hasPurged {
            self.closing?.hasPurged = true
            unsafe rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        }
        // Lingering ends for as long as this call lasts, which is enough for librdkafka's threads to send what they
        // have. It must not last: the acknowledgements are ours to serve.
        if closing != nil || !flushes.isEmpty { unsafe rd_kafka_flush(client.handle, 1) }
        return false
    }

    /// How long to sleep when nothing rings.
    private func pause(now: Int64) -> Int64 {
        if closing == nil && flushes.isEmpty { return 60_000 }
        return 20
    }

    private func drain() {
        while let event = unsafe rd_kafka_queue_poll(client.queue, 0) {
            switch unsafe rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_DR: unsafe resolve(event)
            case RD_KAFKA_EVENT_ERROR:
                client.serve(event, hooks)
                let fatal = client.fatalFault(at: KafkaFault.Site("produce"))
                if let fatal { deliveries.withLock { $0.fatal = fatal } }
            case _: client.serve(event, hooks)
            }
            unsafe rd_kafka_event_destroy(event)
        }
    }

    /// Notes every delivery of an event under one lock, then tells those that are complete.
    private func resolve(_ event: OpaquePointer) {
        let (finished, fatal) = deliveries.withLock { deliveries in
            var finished: [DeliveryTable.Finished] = []
            while let message = unsafe rd_kafka_event_message_next(event)?.pointee {
                let outcome = unsafe DeliveryTable.Outcome(
                    offset: message.offset, partition: message.partition, code: message.err.rawValue)
                let done = unsafe deliveries.resolve(UInt(bitPattern: message._private), outcome)
                if let done { finished.append(done) }
            }
            return (finished, deliveries.fatal)
        }
        for submission in finished { submission.tell(submission.outcomes, fatal) }
    }
}

/// librdkafka's handle of every topic published to, looked up once a batch instead of once a record.
@safe struct TopicHandles: ~Copyable {
    private let client: NativeClient
    private var known: [TopicName: OpaquePointer]
    /// What was asked for last: nearly all batches are for the same topics as the one before.
    private var last: (topics: [TopicName], handles: [OpaquePointer?])

    init(_ client: NativeClient) {
        self.client = client
        unsafe known = [:]
        unsafe last = ([], [])
    }

    /// Nil stands for a topic that cannot be: of such a name C would see something else than we do.
    @safe mutating func handles(of topics: [TopicName]) -> [OpaquePointer?] {
        if unsafe last.topics == topics { return unsafe last.handles }
        let handles: [OpaquePointer?] = unsafe topics.map { topic in
            if let handle = unsafe known[topic] { return unsafe handle }
            guard topic.isValid else { return nil }
            let handle = unsafe rd_kafka_topic_new(client.handle, topic.rawValue, nil)
            unsafe known[topic] = handle
            return unsafe handle
        }
        // One that could not be may be the next time.
        if unsafe !handles.contains(nil) { unsafe last = (topics, handles) }
        return unsafe handles
    }

    mutating func destroy() {
        unsafe known.values.forEach { unsafe rd_kafka_topic_destroy($0) }
        unsafe known = [:]
        unsafe last = ([], [])
    }
}
