package import Flotilla
package import Kafka
internal import Synchronization

/// A producer into a log in memory. Records are written, and reported, a moment after they were handed over, as a
/// broker's answer comes.
package final class MemorySink: RecordSink {
    private let log: MemoryLog
    private let clock: any WorkerClock
    private let executor: StepExecutor
    private let faults: FaultPlan?
    private let pending = Mutex<[Pending]>([])

    private struct Pending: Sendable {
        let records: [OutgoingRecord]
        let completion: @Sendable (DeliveryReport) -> Void
    }

    package init(_ log: MemoryLog, clock: any WorkerClock, executor: StepExecutor, faults: FaultPlan? = nil) {
        self.log = log
        self.clock = clock
        self.executor = executor
        self.faults = faults
    }

    package func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault) {
        guard !executor.hasCrashed else { throw .full }
        switch faults?.meets(.enqueue) {
        // A refusal has no effect: there is no other kind.
        case .before, .after: throw .full
        case .deathBefore, .deathAfter: executor.crash()
        case nil:
            pending.withLock { $0.append(Pending(records: batch.records, completion: completion)) }
            _ = Task(executorPreference: executor) { [self] in deliverNext() }
        }
    }

    /// Batches are written in their order, whichever task comes first.
    private func deliverNext() {
        let next = pending.withLock { $0.removeFirst() }
        let report = deliver(next.records)
        if !executor.hasCrashed { next.completion(report) }
    }

    /// Writes the records. Where that is to fail the first half of them goes well, so that the batch comes apart.
    private func deliver(_ records: [OutgoingRecord]) -> DeliveryReport {
        let damage = log.isAway ? .before : faults?.meets(.delivery)
        let good = damage == nil ? records.count : log.isAway ? 0 : records.count / 2
        var results: [(topic: TopicName, result: Result<Delivery, KafkaFault>)] = []
        for (index, record) in records.enumerated() {
            let isWritten = !executor.hasCrashed && (index < good || damage == .after || damage == .deathAfter)
            let delivery = isWritten ? log.append(record, now: clock.wallMilliseconds) : nil
            if index < good, let delivery {
                results.append((record.topic, .success(delivery)))
            } else {
                results.append((record.topic, .failure(.slow(record.topic))))
            }
        }
        if damage == .deathBefore || damage == .deathAfter { executor.crash() }
        return DeliveryReport(results)
    }
}

extension KafkaFault {
    /// What a broker that is away makes of a call.
    static func broken(_ operation: String) -> KafkaFault {
        KafkaFault(Code(rawValue: -195), "the broker is away", at: Site(operation))
    }

    static var full: KafkaFault { KafkaFault(Code(rawValue: -184), "the queue is full", at: Site("produce")) }

    static func slow(_ topic: TopicName) -> KafkaFault {
        KafkaFault(Code(rawValue: -192), "no answer in time", at: Site("produce", topic: topic))
    }
}

extension FaultPlan? {
    /// Makes a call, or has it fail as planned. A process that has died makes none.
    func strike<Value>(
        _ call: FaultPlan.Call, _ executor: StepExecutor, throwing fault: KafkaFault, _ body: () -> Value
    ) throws(KafkaFault) -> Value {
        guard !executor.hasCrashed else { throw fault }
        switch self?.meets(call) {
        case nil: return body()
        case .before: throw fault
        case .after:
            _ = body()
            throw fault
        case .deathBefore:
            executor.crash()
            throw fault
        case .deathAfter:
            let value = body()
            executor.crash()
            return value
        }
    }
}
