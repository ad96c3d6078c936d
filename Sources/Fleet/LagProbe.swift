package import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// Asks how far handlers are behind, again and again: what each has committed, what is there, and how old the oldest record is
/// that waits.
///
/// Each handler's group is asked by a consumer of its own that joins nothing and commits nothing (as `Admin.committed` does
/// for who asks once), and is kept from one look to the next.
///
/// Important: `close()` before the last reference goes.
package final class LagProbe: Sendable {
    private let client: ClientConfiguration
    let admin: Admin
    private let consumers = Mutex<[HandlerName: Consumer]>([:])
    /// What was found last of handlers that no topic file names.
    let unnamed = Mutex<(handlers: [HandlerName: Set<TopicName>], at: Int64?)>(([:], nil))
    private static let patience: Duration = .seconds(5)

    /// `admin` stays the caller's.
    package init(_ client: ClientConfiguration, _ admin: Admin) {
        self.client = client
        self.admin = admin
    }

    package func close() async {
        let all = consumers.withLock { consumers in
            defer { consumers = [:] }
            return Array(consumers.values)
        }
        for consumer in all { await consumer.close() }
    }

    func figures(
        of handler: HandlerName, _ namespace: Namespace, on topics: Set<TopicName>
    ) async throws -> HandlerFigures {
        var figures = HandlerFigures("\(handler)")
        guard !topics.isEmpty else { return figures }
        let places = try await admin.topics(topics).values.flatMap { topic in
            topic.partitions.map { TopicPartition(topic.name, $0.partition) }
        }
        guard !places.isEmpty else { return figures }
        let consumer = try consumer(for: handler, namespace.group(handler))
        let committed = try await consumer.committed(places.sorted(), within: Self.patience)
        var waiting: [TopicPartition: Offset] = [:]
        let told = try await consumer.watermarks(places, within: Self.patience)
        for place in places {
            figures.partitions = max(figures.partitions, Int(place.partition.rawValue) + 1)
            guard let marks = told[place] else { continue }
            // What was never committed all counts.
            let next = max(committed[place]?.offset ?? marks.low, marks.low)
            guard next < marks.high else { continue }
            figures.waiting[place.partition.rawValue, default: 0] += marks.high.rawValue - next.rawValue
            waiting[place] = next
        }
        // Where one leader has not told, nobody knows how old the oldest is.
        figures.isTold = told.count == places.count
        guard figures.isTold else { return figures }
        figures.behind = waiting.isEmpty ? 0 : try await age(of: waiting, consumer)
        return figures
    }

    private func consumer(for handler: HandlerName, _ group: GroupID) throws -> Consumer {
        try consumers.withLock { consumers in
            if let known = consumers[handler] { return known }
            var configuration = ConsumerConfiguration(client, group: group)
            // One record of each partition is enough.
            configuration.maxPrefetchedBytes = 1 << 20
            let consumer = try Consumer(configuration)
            consumers[handler] = consumer
            return consumer
        }
    }

    /// How many seconds ago the oldest of these records was written; nil when none came in time.
    private func age(of records: [TopicPartition: Offset], _ consumer: Consumer) async throws -> Double? {
        let times = try await consumer.times(of: records, within: .seconds(2))
        return times.values.compactMap(\.milliseconds).min().map { Double(max(0, Time.wallMilliseconds - $0)) / 1000 }
    }
}
