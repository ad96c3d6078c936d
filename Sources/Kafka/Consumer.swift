internal import CRdKafka
internal import Platform
internal import Synchronization

/// Reads topics, as a member of a group or partitions of one's own choosing.
///
/// `next` gives one event after the other; records come a batch at a time, and only when they are asked for. Meanwhile
/// the consumer's own thread keeps it a member of its group, however long a batch takes. Do not forget to answer a
/// `.revoked`.
///
/// Important: `close()` before the last reference goes; a consumer that was never closed ends the process.
public final class Consumer: Sendable {
    let core: ConsumerCore
    let configuration: ConsumerConfiguration
    private let thread: Mutex<OSThread?>

    /// Starts a consumer; it reads nothing before `subscribe` or `assign`. Throws what is wrong with the
    /// configuration, all of it.
    public init(_ configuration: ConsumerConfiguration) throws(KafkaFault) {
        let core = try ConsumerCore(configuration)
        do throws(SystemError) {
            thread = Mutex(try OSThread(name: "kafka-consumer") { core.run() })
        } catch {
            core.tearDown()
            throw KafkaFault(system: error, at: KafkaFault.Site("open consumer"))
        }
        self.core = core
        self.configuration = configuration
    }

    deinit { precondition(core.isClosed, "a consumer is to be closed before it goes") }

    /// Joins the group as a reader of these topics, instead of what was read before.
    public func subscribe(_ topics: [TopicName]) async throws(KafkaFault) {
        try await core.mailbox.perform("subscribe") { core throws(KafkaFault) in try core.subscribe(topics) }.value()
    }

    /// Leaves the subscription; partitions are revoked as in any change of the group.
    public func unsubscribe() async throws(KafkaFault) {
        try await core.mailbox.perform("unsubscribe") { core throws(KafkaFault) in try core.unsubscribe() }.value()
    }

    /// Where reading a partition begins.
    public enum StartingPoint: Hashable, Sendable {
        case offset(Offset)
        case earliest, latest
        /// Where the group stopped; else as `ConsumerConfiguration.start` says.
        case committed
    }

    /// Reads exactly these partitions, outside of any group's distribution. None is nothing.
    public func assign(_ partitions: [TopicPartition: StartingPoint]) async throws(KafkaFault) {
        try await assign(partitions, learning: .seconds(1))
    }

    /// `patience`: how long it may take to learn who leads them.
    func assign(
        _ partitions: [TopicPartition: StartingPoint], learning patience: Duration
    ) async throws(KafkaFault) {
        // Old librdkafkas look for the leader of a topic that they do not know yet only every 500 ms, so it is looked up
        // before. This is no condition: a broker that is away now may be there later.
        let topics = Set(partitions.keys.map(\.topic))
        for topic in topics { try topic.check(at: KafkaFault.Site("assign", topic: topic)) }
        let client = core.client
        try await core.lane.run("assign") { () throws(KafkaFault) in _ = client.learn(topics, within: patience) }
        try await core.mailbox.ask("assign") { core, reply in core.assign(partitions, reply) }.value()
    }

    /// The next event, when there is one: at most `max` records or `maxBytes` of them, but at least one.
    ///
    /// A cancelled task gets `.cancelled`, or the event that came first: none is lost.
    public func next(max: Int = 500, maxBytes: Int = 8 << 20) async throws(KafkaFault) -> ConsumerEvent {
        // Without a limit it ends only with an event.
        guard let event = try await take(max: max, maxBytes: maxBytes, until: nil, all: false).first else {
            throw .closed("next")
        }
        return event
    }

    /// The next event, or nil when none came in time.
    public func next(
        max: Int = 500, maxBytes: Int = 8 << 20, within limit: Duration
    ) async throws(KafkaFault) -> ConsumerEvent? {
        try await take(max: max, maxBytes: maxBytes, until: Self.deadline(limit), all: false).first
    }

    /// All that there is by now, in one go, or nothing when nothing came in time: what happened, in its order, and when
    /// nothing did, the records of each partition as a batch of their own.
    ///
    /// For those who work on partitions apart: one that is held up keeps the memory of its own records alone.
    public func nextAll(
        max: Int = 5000, maxBytes: Int = 8 << 20, within limit: Duration
    ) async throws(KafkaFault) -> [ConsumerEvent] {
        try await take(max: max, maxBytes: maxBytes, until: Self.deadline(limit), all: true)
    }

    private static func deadline(_ limit: Duration) -> Int64 {
        Time.monotonicMilliseconds + limit.patience
    }

    private func take(
        max: Int, maxBytes: Int, until deadline: Int64?, all: Bool
    ) async throws(KafkaFault) -> [ConsumerEvent] {
        let mailbox = core.mailbox
        let reply: Reply<[ConsumerEvent]> = mailbox.ask("next") { core, reply in
            core.wait(
                ConsumerCore.Waiter(
                    max: Swift.max(1, max), maxBytes: Swift.max(1, maxBytes), deadline: deadline, wantsAll: all,
                    reply: reply))
        }
        // The owner decides the race between a batch and a cancellation: what it took from librdkafka is delivered.
        return try await reply.value {
            mailbox.post(
                Mailbox.Job(run: { $0.cancel(reply) }, refuse: { reply.fail(.closed("next")) }))
        }
    }

    /// Leaves the group and ends. Revocations that wait, or come of it, count as answered, so finish and commit what
    /// is under way first. Past the budget the group is left to find out by itself.
    public func close(within budget: Duration = .seconds(10)) async {
        let reply: Reply<Void> = core.mailbox.ask("close") { core, reply in
            core.close(by: Self.deadline(budget), reply)
        }
        // Refused only when it is closed already.
        try? await reply.certainValue()
        thread.withLock { $0.take() }?.join()
    }
}
