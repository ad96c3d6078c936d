internal import CRdKafka
internal import Platform
internal import Synchronization

/// What a consumer is made of, and the loop of the thread that owns it.
///
/// librdkafka has two queues here. The *control* queue carries what a client has to hear to stay a member: rebalances,
/// commit results, faults, log lines. It is drained at every turn, wanted or not, which also keeps
/// `max.poll.interval.ms`. The *data* queue carries the records of all partitions, and is read only while someone waits
/// in `next`: what nobody asked for stays in librdkafka, whose prefetching is bounded. One queue for both was
/// rejected: rebalances would stand in line behind records that nobody wants yet.
///
/// Whether a partition stays split off when it is started again is librdkafka's own affair, and not promised: records
/// that come by the control queue even so are kept in `strays` and given out first, and their partition is split again.
///
/// The batch-consume call was rejected: it loses records around pause and rebalance. One message at a time from a local
/// queue costs little, and messages of before a pause, seek or revocation are dropped by librdkafka.
@safe final class ConsumerCore: @unchecked Sendable {
    // Unchecked: all that varies belongs to the owner's thread; others use `mailbox`, the lanes, `client` and `isClosed`.
    let mailbox: Mailbox<ConsumerCore>
    let lane: BlockingLane
    /// For how far the group is on many partitions, which is asked again and again: questions about one of them, whose
    /// leader may hang, are not to hold that up.
    let lagLane: BlockingLane
    let client: NativeClient
    let hooks: ClientHooks
    let data: OpaquePointer
    let drainTimeout: Int64
    /// Known from the configuration, because asking librdkafka means to wait for the thread that may be ending.
    let isCooperative: Bool
    private let ended = Atomic<Bool>(false)

    /// A task in `next` or `nextAll`.
    struct Waiter {
        let max: Int
        let maxBytes: Int
        /// Nothing in time is an empty answer.
        let deadline: Int64?
        /// Whether it wants all that happened, and records a batch a partition.
        let wantsAll: Bool
        let reply: Reply<[ConsumerEvent]>
    }

    /// A seek that waits for its partition to be fetched at all.
    struct PendingSeek {
        let place: TopicPartition
        let offset: Int64
        let deadline: Int64
        let reply: Reply<Void>
    }

    /// An assignment that waits until what it replaces has stopped.
    struct PendingAssignment {
        let points: [TopicPartition: Consumer.StartingPoint]
        let stopping: [TopicPartition]
        let deadline: Int64
        let reply: Reply<Void>
    }

    /// A close under way.
    struct Closing {
        let deadline: Int64
        var stage = Stage.settling
        var replies: [Reply<Void>]

        enum Stage {
            /// The subscription is being ended; rebalances are answered as ever.
            case settling
            /// librdkafka was told to close and tells when it has.
            case leaving
            /// librdkafka refused to close.
            case refused
        }
    }

    var table = AssignmentTable()
    var events: [ConsumerEvent] = []
    var waiters: [Waiter] = []
    var strays: [UnsafeMutablePointer<rd_kafka_message_t>]
    var room = BatchRoom()
    var prefetch: Prefetch
    var seeks: [PendingSeek] = []
    var assigning: PendingAssignment?
    var commits: [UInt: Reply<Void>?] = [:]
    var lastCommit: UInt = 0
    var closing: Closing?
    /// Whether a group decides what is read.
    var isSubscribed = false
    /// Whether a group may ever have given us partitions.
    var hasSubscribed = false

    init(_ configuration: ConsumerConfiguration) throws(KafkaFault) {
        let site = KafkaFault.Site("open consumer")
        do throws(SystemError) {
            mailbox = try Mailbox()
            lane = try BlockingLane(name: "kafka-asks")
            lagLane = try BlockingLane(name: "kafka-lag")
        } catch { throw KafkaFault(system: error, at: site) }
        let callbacks = ConsumerCallbacks()
        let native = configuration.native()
        native.withHandle { callbacks.install(in: $0) }
        let handle = unsafe try native.makeClient(RD_KAFKA_CONSUMER, at: site)
        // Whatever the client says comes by the queue that we drain.
        unsafe rd_kafka_poll_set_consumer(handle)
        client = unsafe NativeClient(
            handle: handle, queue: rd_kafka_queue_get_consumer(handle), bell: mailbox.bell)
        unsafe data = rd_kafka_queue_new(handle)
        NativeClient.ring(mailbox.bell, for: unsafe data)
        hooks = configuration.client.hooks
        prefetch = Prefetch(bytes: configuration.maxPrefetchedBytes, records: configuration.maxPrefetchedRecords)
        drainTimeout = configuration.drainTimeout.patience
        isCooperative = configuration.strategy == .cooperativeSticky
        unsafe strays = []
        self.callbacks = callbacks
        callbacks.core = self
    }

    /// Where the callbacks find us. It holds us without owning us, and librdkafka holds it without owning it: it goes
    /// after the client.
    private let callbacks: ConsumerCallbacks

    var isClosed: Bool { ended.load(ordering: .acquiring) }

    func run() {
        while true {
            for job in mailbox.take() { job.run(self) }
            let now = Time.monotonicMilliseconds
            serveControl()
            leaveWhenSettled()
            if isOver(now: now) { break }
            if let late = table.expired(now: now) { giveUp(late.partitions) }
            retryAssignment(now: now)
            retrySeeks(now: now)
            deliver(now: now)
            mailbox.sleep(milliseconds: pause(now: Time.monotonicMilliseconds))
        }
        tearDown()
    }

    private var isDown: Bool { unsafe rd_kafka_consumer_closed(client.handle) != 0 }

    /// How long to sleep when nothing rings: a second at most, so that `max.poll.interval.ms` never passes.
    private func pause(now: Int64) -> Int64 {
        var until = now + 1000
        if let deadline = table.pending?.deadline { until = min(until, deadline) }
        if let closing { until = min(until, now + (closing.stage == .settling ? 5 : 100)) }
        if !seeks.isEmpty || assigning != nil { until = min(until, now + 10) }
        for waiter in waiters { until = min(until, waiter.deadline ?? until) }
        return until - now
    }

    // MARK: Waiting tasks

    func wait(_ waiter: Waiter) {
        if closing == nil { waiters.append(waiter) } else { waiter.reply.fail(.closed("next")) }
    }

    /// The task in `next` was cancelled. When it has its event already, this changes nothing.
    func cancel(_ reply: Reply<[ConsumerEvent]>) {
        waiters.removeAll { $0.reply === reply }
        reply.fail(.cancelled("next"))
    }

    /// Gives those who wait what there is: first what happened, then records.
    private func deliver(now: Int64) {
        while let waiter = waiters.first {
            if events.isEmpty {
                let batches = takeBatches(max: waiter.max, maxBytes: waiter.maxBytes, aPartitionEach: waiter.wantsAll)
                events.insert(contentsOf: batches.map { .records($0) }, at: 0)
            }
            guard !events.isEmpty else { break }
            waiters.removeFirst()
            let taken = waiter.wantsAll ? events : [events[0]]
            events.removeFirst(taken.count)
            waiter.reply.fill(.success(taken))
        }
        waiters.removeAll { waiter in
            guard let deadline = waiter.deadline, now >= deadline else { return false }
            waiter.reply.fill(.success([]))
            return true
        }
    }

    // MARK: Closing
    //
    // librdkafka answers what is asked of a group by its main thread, and whoever asks waits without a limit. When a
    // group that was told to close has ended, that thread throws away what it has not answered yet, whole queue and
    // all, and the one who asked waits for ever. So nothing may be asked once `rd_kafka_consumer_close_queue` was
    // called, unless the group cannot end before it is answered.
    //
    // Hence the order. (1) Unsubscribe, which in the middle of a rebalance is only noted. (2) Answer rebalances until
    // nothing is assigned. (3) Close. A revocation that comes now holds up the group until it is answered: it is. A
    // grant that comes now was on its way when the group was told to close, which took it back: nobody waits for an
    // answer, and giving one is the wait for ever.
    //
    // A cooperative group takes no grant back, and before librdkafka 2.4 it never ends when it is told to close
    // with one outstanding, whatever it is answered. It must have let its membership go first.

    func close(by deadline: Int64, _ reply: Reply<Void>) {
        if closing != nil {
            closing?.replies.append(reply)
            return
        }
        closing = Closing(deadline: deadline, replies: [reply])
        for waiter in waiters { waiter.reply.fail(.closed("next")) }
        waiters = []
        events = []
        for seek in seeks { seek.reply.fail(.closed("seek")) }
        seeks = []
        assigning?.reply.fail(.closed("assign"))
        assigning = nil
        if let pending = table.abandoned() { giveUp(pending.partitions) }
        if hasSubscribed { _ = unsafe rd_kafka_unsubscribe(client.handle) }
    }

    /// Closes the client when its group has nothing more to ask.
    private func leaveWhenSettled() {
        guard closing?.stage == .settling, !hasSubscribed || isSettled else { return }
        let fault = unsafe KafkaFault.taking(
            rd_kafka_consumer_close_queue(client.handle, client.queue), at: KafkaFault.Site("close"))
        closing?.stage = fault == nil ? .leaving : .refused
        if let fault { hooks.fault(fault) }
    }

    private var isSettled: Bool { assignmentIsEmpty && (!isCooperative || memberID.isEmpty) }

    /// Whether nothing is left to be done but to destroy the client. Once it was told to close it is served to the end:
    /// that takes no longer than librdkafka's own limits, and destroying it waits for the same, with nobody to answer.
    private func isOver(now: Int64) -> Bool {
        guard let closing else { return false }
        switch closing.stage {
        case .settling: return now >= closing.deadline
        case .leaving: return isDown
        case .refused: return true
        }
    }

    /// Ends the client. The owner's last act, or the only one where no owner could be started.
    func tearDown() {
        lane.stop()
        lagLane.stop()
        dropStrays { _ in true }
        events = []
        let hasLeft = isDown
        NativeClient.release(queue: unsafe data)
        client.destroy(leavingGroup: hasLeft)
        mailbox.shut()
        ended.store(true, ordering: .releasing)
        for reply in commits.values {
            if let reply { reply.fail(.closed("commit")) } else { hooks.fault(.closed("commit")) }
        }
        for reply in closing?.replies ?? [] { reply.fill(.success(())) }
    }
}
