internal import Flotilla
package import Kafka
internal import Synchronization

/// A consumer of a log in memory: the only member of its group, unless a test gives partitions to several.
///
/// It keeps to what librdkafka's keeps to: a paused partition gives nothing, after a revocation no record of it comes,
/// and a partition that is assigned begins at what its group has committed.
package final class MemorySource: Sendable {
    fileprivate struct State {
        var events: [ConsumerEvent] = []
        var positions: [TopicPartition: Offset] = [:]
        var paused: Set<TopicPartition> = []
        var isClosed = false
        /// Something may have come since the last look.
        var isRung = false
        var waiting: CheckedContinuation<Void, Never>?
        var silence = Silence.none
        var askedForTimes = 0
        var hanging: [CheckedContinuation<Void, Never>] = []
    }

    /// What it does not answer.
    package enum Silence: Sendable {
        case none
        /// What the group has committed, and what it is to commit.
        case coordinator
        /// Where partitions end, until it is closed.
        case leaders
        /// Any record, as where there are only markers of transactions.
        case records
        /// When records were written, in time.
        case times
    }

    package let group: GroupID
    private let log: MemoryLog
    private let executor: StepExecutor
    private let faults: FaultPlan?
    private let state = Mutex(State())

    package init(_ log: MemoryLog, group: GroupID, executor: StepExecutor, faults: FaultPlan? = nil) {
        self.log = log
        self.group = group
        self.executor = executor
        self.faults = faults
        log.whenAppended { [weak self] in self?.ring() }
    }

    package var assignment: [TopicPartition] { state.withLock { $0.positions.keys.sorted() } }
    package var paused: Set<TopicPartition> { state.withLock { $0.paused } }
    package var isClosed: Bool { state.withLock { $0.isClosed } }

    package var silence: Silence {
        get { state.withLock { $0.silence } }
        set { state.withLock { $0.silence = newValue } }
    }

    /// How often it was asked when records were written.
    package var askedForTimes: Int { state.withLock { $0.askedForTimes } }

    private func waitUntilClosed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.hanging.append(continuation) }
                return state.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    /// Gives it partitions, from what the group has committed.
    package func assign(_ places: [TopicPartition]) {
        state.withLock { state in
            for place in places { state.positions[place] = log.committed(group, place) }
            state.events.append(.assigned(places))
        }
        ring()
    }

    /// Takes partitions away; `then` is called when it has let go of them.
    package func revoke(_ places: [TopicPartition], then: @escaping @Sendable () -> Void = {}) {
        state.withLock { state in
            state.drop(places)
            state.events.append(.revoked(Revocation(places, answer: then)))
        }
        ring()
    }

    /// Takes partitions away that others may have already.
    package func lose(_ places: [TopicPartition]) {
        state.withLock { state in
            state.drop(places)
            state.events.append(.lost(places))
        }
        ring()
    }

    private func ring() {
        state.withLock { state in
            state.isRung = true
            return state.waiting.take()
        }?.resume()
    }

    private func look(_ max: Int) throws(KafkaFault) -> [ConsumerEvent] {
        try state.withLock { state throws(KafkaFault) in
            guard !state.isClosed else { throw KafkaFault(.closed, "the source is closed", at: .init("consume")) }
            state.isRung = false
            var events = state.events
            state.events = []
            for (place, position) in state.positions.sorted(by: { $0.key < $1.key }) {
                guard !state.paused.contains(place), let batch = log.read(place, from: position, max: max) else {
                    continue
                }
                state.positions[place] = Offset(position.rawValue + Int64(batch.count))
                events.append(.records(batch))
            }
            return events
        }
    }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isRung || Task.isCancelled { return true }
                    state.waiting = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
    }
}

extension MemorySource: RecordSource {
    package func subscribe(_ topics: [TopicName]) async throws(KafkaFault) { assign(log.partitions(of: topics)) }

    /// Waits for as long as it takes: time does not pass here by itself.
    package func nextAll(
        max: Int, maxBytes: Int, within limit: Duration
    ) async throws(KafkaFault) -> [ConsumerEvent] {
        while true {
            if Task.isCancelled { throw KafkaFault(.cancelled, "the waiting task was cancelled", at: .init("consume")) }
            let events = try look(max)
            guard !events.isEmpty else {
                await wait()
                continue
            }
            try faults.strike(.fetch, executor, throwing: .broken("consume")) {}
            return executor.hasCrashed ? [] : events
        }
    }

    package func setPaused(_ isPaused: Bool, _ partitions: [TopicPartition]) {
        state.withLock { state in
            for place in partitions where state.positions[place] != nil {
                if isPaused { state.paused.insert(place) } else { state.paused.remove(place) }
            }
        }
        if !isPaused { ring() }
    }

    package func commit(_ offsets: [PartitionOffset]) async throws(KafkaFault) {
        if silence == .coordinator { throw .broken("commit") }
        try faults.strike(.commit, executor, throwing: .broken("commit")) { log.commit(offsets, of: group) }
    }

    package func committed(
        _ places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Offset] {
        if silence == .coordinator { throw .broken("committed") }
        return Dictionary(uniqueKeysWithValues: places.map { ($0, log.committed(group, $0)) })
    }

    package func bounds(
        of places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Watermarks] {
        if silence == .leaders { await waitUntilClosed() }
        return Dictionary(uniqueKeysWithValues: places.map { ($0, Watermarks(low: 0, high: log.end(of: $0))) })
    }

    package func times(
        of records: [TopicPartition: Offset], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: RecordTime] {
        state.withLock { $0.askedForTimes += 1 }
        if silence == .times { return [:] }
        if silence == .records { return records.mapValues { _ in .noRecord } }
        return records.reduce(into: [:]) { times, record in
            if let first = log.read(record.key, from: record.value, max: 1)?.first {
                times[record.key] = .written(first.timestamp)
            }
        }
    }

    package func bounds(
        of place: TopicPartition, within limit: Duration
    ) async throws(KafkaFault) -> Watermarks {
        Watermarks(low: 0, high: log.end(of: place))
    }

    package func close(within budget: Duration) async {
        let hanging = state.withLock { state in
            state.isClosed = true
            defer { state.hanging = [] }
            return state.hanging
        }
        for one in hanging { one.resume() }
        ring()
    }
}

extension MemorySource.State {
    fileprivate mutating func drop(_ places: [TopicPartition]) {
        for place in places {
            positions[place] = nil
            paused.remove(place)
        }
    }
}
