package import JSON
package import Kafka
package import Model
internal import Platform

/// Looking into a topic: records by where they lie, read outside of any group, so that nobody's work is touched.
package struct TopicLook: Sendable {
    package enum Want: Sendable, Hashable {
        /// What came last.
        case latest
        case offset(Partition, Offset)
        /// The first of that time, in milliseconds since 1970, or later.
        case time(Int64, Partition?)
        /// Those with this key, of the latest that there are.
        case key([UInt8], Partition?)
    }

    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// What was looked through.
    package struct Extent: Sendable, Hashable {
        package var looked = 0
        /// Whether more would have fit, or was left out because it would have taken too long.
        package var hasMore = false
    }

    package let topic: TopicName
    package let want: Want
    package let limit: Int
    /// Looking for a key goes back so far in each partition.
    private static let mostLooked: Int64 = 20_000
    private static let patience: Int64 = 10_000
    private static let batchBytes = 2 << 20

    package init(_ topic: TopicName, _ want: Want, limit: Int) {
        self.topic = topic
        self.want = want
        self.limit = limit
    }

    /// Gives `take` what was wanted, in no order beyond that of a partition.
    package func run(
        _ admin: Admin, _ client: ClientConfiguration, _ take: (Record) -> Void
    ) async throws -> Extent {
        var extent = Extent()
        var ends = try await ranges(admin, &extent)
        guard !ends.isEmpty else { return extent }
        var configuration = ConsumerConfiguration(client, group: "flotilla-look")
        configuration.fetchWait = .milliseconds(20)
        // Several may look at once, and records may be large: no more is fetched ahead than a part of what is read at once.
        configuration.maxPrefetchedBytes = Self.batchBytes
        if configuration.client.extra["fetch.max.bytes"] == nil {
            configuration.client.extra["fetch.max.bytes"] = "\(Self.batchBytes)"
        }
        let consumer = try Consumer(configuration)
        do {
            try await read(consumer, &ends, &extent, take)
            await consumer.close()
        } catch {
            await consumer.close()
            throw error
        }
        return extent
    }

    private func read(
        _ consumer: Consumer, _ ranges: inout [TopicPartition: Range<Int64>], _ extent: inout Extent,
        _ take: (Record) -> Void
    ) async throws {
        try await consumer.assign(ranges.mapValues { .offset(Offset($0.lowerBound)) })
        var taken: [TopicPartition: Int] = [:]
        let end = Time.monotonicMilliseconds + Self.patience
        while !ranges.isEmpty {
            guard Time.monotonicMilliseconds < end else {
                guard extent.looked > 0 else {
                    throw Fault(description: "the broker has brought nothing of \(topic) for 10 s: try again")
                }
                extent.hasMore = true
                return
            }
            for event in try await consumer.nextAll(max: 1000, maxBytes: Self.batchBytes, within: .milliseconds(500)) {
                guard case .records(let batch) = event else {
                    if case .fault(let fault) = event, fault.isFatal { throw fault }
                    continue
                }
                for record in batch {
                    let place = record.topicPartition
                    guard let range = ranges[place] else { continue }
                    if record.offset.rawValue < range.upperBound {
                        extent.looked += 1
                        if fits(record) {
                            take(record)
                            taken[place, default: 0] += 1
                        }
                    }
                    // Latest ones of a key are the last of all that fit: whoever takes them keeps those.
                    let isFull = !isOfKey && taken[place, default: 0] >= limit
                    if record.offset.rawValue + 1 >= range.upperBound || isFull { ranges[place] = nil }
                }
            }
        }
    }

    private var isOfKey: Bool { if case .key = want { true } else { false } }

    private func fits(_ record: Record) -> Bool {
        guard case .key(let key, _) = want else { return true }
        return record.keyBytes == key
    }

    /// What is to be read of each partition.
    private func ranges(_ admin: Admin, _ extent: inout Extent) async throws -> [TopicPartition: Range<Int64>] {
        let places = try await admin.places(of: topic)
        var ranges: [TopicPartition: Range<Int64>] = [:]
        for place in places {
            var start: Int64
            let low = try await admin.offset(of: place, at: .earliest)?.rawValue ?? 0
            let high = try await admin.offset(of: place, at: .latest)?.rawValue ?? 0
            switch want {
            // Of many partitions a few records each are as many as anybody looks at.
            case .latest: start = max(low, high - Int64(min(limit, max(1, limit * 6 / max(1, places.count)))))
            case .offset(let partition, let offset):
                guard place.partition == partition else { continue }
                start = max(low, offset.rawValue)
            case .time(let time, let partition):
                guard partition == nil || place.partition == partition else { continue }
                start = try await admin.offset(of: place, at: .time(time))?.rawValue ?? high
            case .key(_, let partition):
                guard partition == nil || place.partition == partition else { continue }
                start = max(low, high - Self.mostLooked)
                if start > low { extent.hasMore = true }
            }
            if start < high { ranges[place] = start..<high }
        }
        return ranges
    }
}

extension Admin {
    /// The partitions of a topic; throws when there is no such topic.
    package func places(of topic: TopicName) async throws -> [TopicPartition] {
        guard let found = try await topics([topic])[topic], !found.partitions.isEmpty else {
            throw TopicLook.Fault(description: "there is no topic \(topic) at this broker")
        }
        return found.partitions.map { TopicPartition(topic, $0.partition) }
    }
}

extension Record {
    /// Where it lies, when it came, its key and its headers: what is told of every record.
    package func writePlace(to json: inout JSONWriter) {
        json.member("partition", partition.rawValue)
        json.member("offset", offset.rawValue)
        json.member("timestamp", timestamp ?? 0)
        json.name("key")
        if let key = keyBytes { json.append(String(decoding: key, as: UTF8.self)) } else { json.appendNull() }
        json.object("headers", grouping: headers.map { ($0.name, $0.text ?? "") })
    }
}
