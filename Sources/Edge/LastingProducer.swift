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
/// When each new one ends too (the broker does not let us write, say), that is a trouble that health tells, and new ones
/// are made less and less often.
///
/// Important: `close` before the last reference goes.
final class LastingProducer: Sendable {
    private let configuration: ProducerConfiguration
    private let log: Log
    private let state: Mutex<State>
    private let ended: AsyncStream<Ending>.Continuation
    /// How many have been replaced.
    let replaced = Counter()

    private struct State {
        var producer: Producer
        /// The number of the producer, so that what one that is gone still says is known as old.
        var number = 0
        var isClosed = false
        var lives = ProducerLives(began: Time.monotonicMilliseconds)
    }

    /// That a producer can go on no more.
    struct Ending {
        let number: Int
        let fault: KafkaFault
    }

    init(_ configuration: ProducerConfiguration, log: Log) throws(KafkaFault) {
        let (faults, ended) = AsyncStream.makeStream(of: Ending.self)
        self.configuration = configuration
        self.log = log
        self.ended = ended
        state = Mutex(State(producer: try Self.make(configuration, 0, log, ended)))
        Task { [self] in
            for await ending in faults { await replace(ending) }
        }
    }

    private static func make(
        _ configuration: ProducerConfiguration, _ number: Int, _ log: Log, _ ended: AsyncStream<Ending>.Continuation
    ) throws(KafkaFault) -> Producer {
        var configuration = configuration
        configuration.client.hooks.fault = { fault in
            log.warning("kafka", [("error", fault)])
            if fault.isFatal { ended.yield(Ending(number: number, fault: fault)) }
        }
        return try Producer(configuration)
    }

    /// The one that publishes at the moment.
    var current: Producer { state.withLock { $0.producer } }

    /// Why nothing can be published for now, as far as the producers have said; nil when one goes on.
    var trouble: String? { state.withLock { $0.lives.trouble(at: Time.monotonicMilliseconds) } }

    func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        try current.enqueue(batch, completion: completion)
    }

    func close(within budget: Duration) async {
        let last = state.withLock { state in
            state.isClosed = true
            return state.producer
        }
        ended.finish()
        await last.close(within: budget)
    }

    func replace(_ ending: Ending) async {
        let number = ending.number
        let pause = state.withLock { state -> Duration? in
            guard state.number == number, !state.isClosed else { return nil }
            return state.lives.end(at: Time.monotonicMilliseconds, of: "\(ending.fault)")
        }
        guard let pause else { return }
        var again = ending
        do throws(KafkaFault) {
            let next = try Self.make(configuration, number + 1, log, ended)
            let (old, isClosed) = state.withLock { state in
                if state.isClosed { return (next, true) }
                let old = state.producer
                state.producer = next
                state.number = number + 1
                state.lives.begin(at: Time.monotonicMilliseconds)
                return (old, false)
            }
            if !isClosed {
                replaced.add(1)
                log.error("the producer could not go on, and a new one has taken its place", [("error", ending.fault)])
            }
            // Beside what follows: the next one may need its successor meanwhile.
            Task { await old.close(within: .seconds(1)) }
        } catch {
            log.error("the producer could not go on, and no new one could be made", [("error", error)])
            again = Ending(number: number, fault: error)
        }
        try? await Task.sleep(for: pause)
        // One that could not be made is tried again.
        if state.withLock({ $0.number == number && !$0.isClosed }) { ended.yield(again) }
    }
}

/// How long producers that follow each other can go on: whether the next one has better luck is only seen by waiting.
struct ProducerLives {
    /// How many have ended, one after the other, each within `lasting` of its beginning.
    private var ends = 0
    private var last = ""
    private var began: Int64
    /// Whether it has ended and has no successor yet.
    private var isOver = false

    /// Who has gone on for so long is well.
    private static let lasting: Int64 = 10_000

    init(began: Int64) { self.began = began }

    mutating func begin(at now: Int64) { (began, isOver) = (now, false) }

    /// How long to wait after its successor was made before that one may be replaced.
    mutating func end(at now: Int64, of fault: String) -> Duration {
        ends = isOver || now - began < Self.lasting ? ends + 1 : 1
        (last, isOver) = (fault, true)
        return .seconds(min(8, 1 << (min(ends, 4) - 1)))
    }

    /// The first end is none: its successor mostly goes on.
    func trouble(at now: Int64) -> String? {
        guard ends > 1, isOver || now - began < Self.lasting else { return nil }
        return "\(ends) producers in a row could not go on, the last for: \(last)"
    }
}
