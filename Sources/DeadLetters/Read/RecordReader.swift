package import Kafka
package import Model
internal import Platform

/// Reads records by where they lie.
///
/// Important: `close()` before the last reference goes.
package final class RecordReader: Sendable {
    private let client: ClientConfiguration
    private let consumer: Consumer

    /// Nothing came for so long although there is something.
    package struct Silence: Error, CustomStringConvertible {
        package let place: TopicPartition?
        package let description: String
    }

    /// Offsets that lie closer than this are read in one go.
    private static let gap: Int64 = 2000
    private static let patience: Int64 = 30_000

    package init(_ client: ClientConfiguration) throws {
        self.client = client
        var configuration = ConsumerConfiguration(client, group: "flotilla-dlq")
        configuration.tellsEnds = true
        configuration.fetchWait = .milliseconds(20)
        configuration.maxPrefetchedBytes = 8 << 20
        consumer = try Consumer(configuration)
    }

    package func close() async { await consumer.close() }

    /// What lies at these offsets, and which of them were not come to before `maxBytes` were read; those in neither are
    /// no more there.
    package func read(
        _ offsets: Set<Offset>, of place: TopicPartition, maxBytes: Int = 16 << 20
    ) async throws -> (found: [Offset: Record], left: Set<Offset>) {
        guard !offsets.isEmpty else { return ([:], []) }
        let marks: Watermarks
        do { marks = try await consumer.watermarks(place) } catch {
            // What is in a topic that is gone is gone.
            guard try await isGone(place, error) else { throw error }
            return ([:], [])
        }
        var left = offsets.filter { $0 >= marks.low && $0 < marks.high }
        var found: [Offset: Record] = [:]
        var bytes = 0
        while let first = left.min(), bytes < maxBytes {
            var last = first
            for offset in left.sorted() {
                guard offset.rawValue - last.rawValue <= Self.gap else { break }
                last = offset
            }
            try await consumer.assign([place: .offset(first)])
            var movedAt = Time.monotonicMilliseconds
            var next = first
            reading: while next <= last, bytes < maxBytes {
                guard Time.monotonicMilliseconds - movedAt < Self.patience else {
                    throw Silence(
                        place: place, description: "the broker has brought nothing of \(place) for 30 s")
                }
                for event in try await consumer.nextAll(max: 500, maxBytes: 4 << 20, within: .seconds(1)) {
                    switch event {
                    case .records(let batch):
                        movedAt = Time.monotonicMilliseconds
                        for record in batch where record.topicPartition == place && record.offset >= next {
                            next = record.offset.next
                            guard left.contains(record.offset), bytes < maxBytes else { continue }
                            left.remove(record.offset)
                            found[record.offset] = record.detached
                            bytes += record.byteCount
                        }
                    case .end(place, let offset) where offset > last: next = max(next, offset)
                    case .fault(let fault) where fault.isFatal: throw fault
                    case .end, .fault, .assigned, .revoked, .lost: break
                    }
                }
            }
            // What was passed and not found is not there: compacted, or never a record.
            if bytes < maxBytes { left = left.filter { $0 > last } }
        }
        try await consumer.assign([:])
        return (found, left)
    }

    /// One record; nil when it is no more there.
    package func read(_ offset: Offset, of place: TopicPartition) async throws -> Record? {
        try await read([offset], of: place).found[offset]
    }

    /// The first offset that a partition still has, and the one that its next record gets.
    package func range(of place: TopicPartition) async throws -> Watermarks { try await consumer.watermarks(place) }

    /// Whether what was asked of a partition failed because there is none. One that nobody leads at the moment is told as if
    /// there were none, and what it has is not gone.
    func isGone(_ place: TopicPartition, _ error: any Error) async throws -> Bool {
        guard let fault = error as? KafkaFault, fault.kind == .unknownTopic || fault.kind == .unknownPartition else {
            return false
        }
        return try await !partitions(of: place.topic).contains(place.partition)
    }

    /// None when there is no such topic.
    func partitions(of topic: TopicName) async throws -> Set<Partition> {
        let found = try await Admin.use(client) { try await $0.topics([topic])[topic] }
        return Set(found?.partitions.map(\.partition) ?? [])
    }

    /// Every record of a partition from its beginning, or from this offset on, to its end of now. False when that would
    /// have taken more than it may.
    @discardableResult package func readAll(
        _ places: [TopicPartition], from time: Int64? = nil, startingAt starts: [TopicPartition: Offset] = [:],
        until limit: [TopicPartition: Offset] = [:], within span: Duration? = nil, maxBytes: Int = .max,
        _ body: (Record) throws -> Void
    ) async throws -> Bool {
        let deadline = span.map { Time.monotonicMilliseconds + $0.milliseconds } ?? .max
        var (points, ends): ([TopicPartition: Consumer.StartingPoint], [TopicPartition: Offset]) = ([:], [:])
        for place in places {
            guard Time.monotonicMilliseconds < deadline else { return false }
            let marks = try await consumer.watermarks(place)
            // One beyond the end is of another topic of that name.
            var start = max(marks.low, starts[place].flatMap { $0 > marks.high ? nil : $0 } ?? marks.low)
            if let time { start = max(start, try await consumer.offsets(at: time, of: [place])[place] ?? marks.high) }
            let end = min(marks.high, limit[place] ?? marks.high)
            if start < end { (points[place], ends[place]) = (.offset(start), end) }
        }
        guard !points.isEmpty else { return true }
        try await consumer.assign(points)
        var (movedAt, bytes) = (Time.monotonicMilliseconds, 0)
        while !ends.isEmpty, bytes <= maxBytes, Time.monotonicMilliseconds < deadline {
            guard Time.monotonicMilliseconds - movedAt < Self.patience else {
                throw Silence(
                    place: ends.keys.min(),
                    description: "the broker has brought nothing for 30 s of \(ends.keys.sorted())")
            }
            let wait = min(1000, max(1, deadline - Time.monotonicMilliseconds))
            for event in try await consumer.nextAll(within: .milliseconds(wait)) {
                switch event {
                case .records(let batch):
                    movedAt = Time.monotonicMilliseconds
                    for record in batch {
                        guard bytes <= maxBytes, let end = ends[record.topicPartition] else { continue }
                        bytes += record.byteCount
                        if record.offset < end { try body(record) }
                        if record.offset.next >= end { ends[record.topicPartition] = nil }
                    }
                case .end(let place, let offset):
                    // It comes with the records before it, of which the last ones may have been left out.
                    if bytes <= maxBytes, let end = ends[place], offset >= end { ends[place] = nil }
                case .fault(let fault) where fault.isFatal: throw fault
                case .fault, .assigned, .revoked, .lost: break
                }
            }
        }
        try await consumer.assign([:])
        return ends.isEmpty
    }
}
