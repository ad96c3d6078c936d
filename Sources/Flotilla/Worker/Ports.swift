package import Kafka
internal import Platform

// What a worker needs of the world.

/// Where records come from, and where it is noted how far they were worked off.
package protocol RecordSource: Sendable {
    func subscribe(_ topics: [TopicName]) async throws(KafkaFault)
    /// All that there is by now: what happened in its order, records a batch a partition; nothing when the time is over.
    func nextAll(max: Int, maxBytes: Int, within limit: Duration) async throws(KafkaFault) -> [ConsumerEvent]
    /// Stops or goes on fetching partitions, in the order of the calls. What is not assigned is passed over.
    func setPaused(_ isPaused: Bool, _ partitions: [TopicPartition])
    func commit(_ offsets: [PartitionOffset]) async throws(KafkaFault)
    /// The first offset that a partition still has, and the one that its next record will get.
    func bounds(of place: TopicPartition, within limit: Duration) async throws(KafkaFault) -> Watermarks
    /// The same of several partitions, with one time limit for all; those that were told.
    func bounds(
        of places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Watermarks]
    /// How far the group has committed partitions; missing where it has not.
    func committed(
        _ places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Offset]
    /// When the records at these offsets were written, or the next ones that are there; those of which it was told in
    /// time.
    func times(
        of records: [TopicPartition: Offset], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: RecordTime]
    func close(within budget: Duration) async
}

extension Consumer: RecordSource {
    package func bounds(
        of place: TopicPartition, within limit: Duration
    ) async throws(KafkaFault) -> Watermarks { try await watermarks(place, within: limit) }

    package func bounds(
        of places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Watermarks] { try await watermarks(places, within: limit) }

    package func committed(
        _ places: [TopicPartition], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: Offset] {
        let found: [TopicPartition: PartitionOffset] = try await committed(places, within: limit)
        return found.mapValues(\.offset)
    }

    package func times(
        of records: [TopicPartition: Offset], within limit: Duration
    ) async throws(KafkaFault) -> [TopicPartition: RecordTime] { try await timesAside(of: records, within: limit) }

    package func setPaused(_ isPaused: Bool, _ partitions: [TopicPartition]) {
        if isPaused { pauseLater(partitions) } else { resumeLater(partitions) }
    }
}

/// Where records go.
package protocol RecordSink: Sendable {
    /// Takes the records over, in their order and behind those of earlier calls; `completion` is called once, when each
    /// has its verdict.
    func enqueue(
        _ batch: OutgoingBatch, completion: @escaping @Sendable (DeliveryReport) -> Void
    ) throws(KafkaFault)
}

extension Producer: RecordSink {}

/// Both clocks of a worker, and how it waits.
package protocol WorkerClock: Sendable {
    var monotonicMilliseconds: Int64 { get }
    var wallMilliseconds: Int64 { get }
    /// Waits until the monotonic clock shows this; a cancelled task waits no longer.
    func sleep(until milliseconds: Int64) async
}

/// The machine's.
package struct SystemClock: WorkerClock {
    package init() {}

    package var monotonicMilliseconds: Int64 { Time.monotonicMilliseconds }
    package var wallMilliseconds: Int64 { Time.wallMilliseconds }

    package func sleep(until milliseconds: Int64) async {
        let wait = milliseconds - Time.monotonicMilliseconds
        guard wait > 0 else { return }
        try? await Task.sleep(for: .milliseconds(wait))
    }
}
