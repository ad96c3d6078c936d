internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// A producer that lasts: where its client can go on no more, a new one takes its place.
///
/// librdkafka ends an idempotent producer for good when it cannot tell what the log has of what it sent, which versions
/// before 2.3 do at times when a broker comes back. What was under way is answered 503: the log may have it or not, as after
/// a deadline, and who sends it again under the same ids is counted once.
///
/// Important: `close` before the last reference goes.
final class LastingProducer: Sendable {
    private let configuration: ProducerConfiguration
    private let log: Log
    private let state: Mutex<State>
    private let ended: AsyncStream<Int>.Continuation
    /// How many have been replaced.
    let replaced = Counter()

    private struct State {
        var producer: Producer
        /// The number of the producer, so that what one that is gone still says is known as old.
        var number = 0
        var isClosed = false
    }

    init(_ configuration: ProducerConfiguration, log: Log) throws(KafkaFault) {
        let (faults, ended) = AsyncStream.makeStream(of: Int.self)
        self.configuration = configuration
        self.log = log
        self.ended = ended
        state = Mutex(State(producer: try Self.make(configuration, 0, log, ended)))
        Task { [self] in
            for await number in faults { await replace(number) }
        }
    }

    private static func make(
        _ configuration: ProducerConfiguration, _ number: Int, _ log: Log, _ ended: AsyncStream<Int>.Continuation
    ) throws(KafkaFault) -> Producer {
        var configuration = configuration
        configuration.client.hooks.fault = { fault in
            log.warning("kafka", [("error", fault)])
            if fault.isFatal { ended.yield(number) }
        }
        return try Producer(configuration)
    }

    func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        try state.withLock { $0.producer }.enqueue(batch, completion: completion)
    }

    func close(within budget: Duration) async {
        let last = state.withLock { state in
            state.isClosed = true
            return state.producer
        }
        ended.finish()
        await last.close(within: budget)
    }

    private func replace(_ number: Int) async {
        guard state.withLock({ $0.number == number && !$0.isClosed }) else { return }
        do throws(KafkaFault) {
            let next = try Self.make(configuration, number + 1, log, ended)
            let (old, isClosed) = state.withLock { state in
                if state.isClosed { return (next, true) }
                let old = state.producer
                state.producer = next
                state.number = number + 1
                return (old, false)
            }
            if !isClosed {
                replaced.add(1)
                log.error("the producer could not go on, and a new one has taken its place")
            }
            // Beside what follows: the next one may need its successor meanwhile.
            Task { await old.close(within: .seconds(1)) }
        } catch {
            log.error("the producer could not go on, and no new one could be made", [("error", error)])
        }
        // However often it happens: a broker that makes each new one end at once is not asked for hundreds of them.
        try? await Task.sleep(for: .seconds(1))
        // One that could not be made is tried again.
        if state.withLock({ $0.number == number && !$0.isClosed }) { ended.yield(number) }
    }
}
