internal import Contracts
internal import Flotilla
internal import JSON
internal import Kafka
internal import Model
internal import Platform

/// A record that is the event, a copy of it, or something that follows from it.
struct TraceRecord: Sendable {
    let role: WantedTopic.Role
    /// Of the topic as the files call it.
    let topic: TopicName
    let place: TopicPartition
    let offset: Offset
    let timestamp: Int64?
    let name: TraceFollower.Name
    let type: String
    let key: String?
    let match: TraceFollower.Match
    /// What the runtime wrote beside it: why it waits, why it is a dead letter, which replay it belongs to.
    let story: [String: String]
    /// What the state is looked up by; nothing else of the value is kept or shown.
    let campaign: String?
    let metric: String?
    let time: Int64?
    /// What became of it, by handler.
    var progress: [Progress] = []

    struct Progress: Sendable {
        let handler: HandlerName
        /// The offset that the handler takes next; nil when it never took one.
        let next: Offset?
        /// Whether it is known from the handler's own state, or from what it has committed to the broker.
        let isState: Bool
    }

    static let storyNames = [
        HeaderName.retryAttempt, HeaderName.retryTier, HeaderName.retryDue, HeaderName.retryErrorType,
        HeaderName.retryErrorMessage, HeaderName.dlqID, HeaderName.dlqReason, HeaderName.dlqErrorType,
        HeaderName.dlqMessage, HeaderName.dlqAt, HeaderName.dlqReplays, HeaderName.dlqReplayJob,
    ]

    init(
        _ record: Record, _ stop: TraceRoute.Stop, _ wanted: WantedTopic, _ source: String, _ match: TraceFollower.Match
    ) {
        role = wanted.role
        topic = stop.topic.name
        place = record.topicPartition
        offset = record.offset
        timestamp = record.timestamp
        func text(_ header: String) -> String? {
            record.lastHeader(header).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
        }
        name = TraceFollower.Name(source: source, id: text("ce_id") ?? "")
        type = text("ce_type") ?? ""
        key = record.keyBytes.map { String(decoding: $0, as: UTF8.self) }
        self.match = match
        story = Dictionary(uniqueKeysWithValues: Self.storyNames.compactMap { name in text(name).map { (name, $0) } })
        let value = record.valueBytes.flatMap { try? JSONDocument(parsing: $0) }?.root
        let root = value?.kind == .object ? value : nil
        campaign = root?["campaign_id"]?.string
        metric = root?["metric"]?.string
        time = root?["timestamp"]?.int64
    }

    /// Who reads the topic that it is in.
    func readers(_ stop: TraceRoute.Stop) -> [HandlerName] {
        switch role {
        case .source: stop.topic.consumers.map(\.handler).filter { $0 != .deadLetters }
        case .retry(let family, _), .replay(let family): [family.handler]
        case .deadLetters: []
        }
    }
}

/// Reads topics from a time on, and keeps what belongs to one event.
struct TraceScan: Sendable {
    let since: Int64
    let until: Int64?

    /// What was looked at.
    struct Looked: Sendable {
        let topic: TopicName
        /// Nil when there is no such topic.
        var records: Int64? = 0
        var found = 0
    }

    struct Result: Sendable {
        var looked: [Looked] = []
        var found: [TraceRecord] = []
        /// What the broker has beside what was looked at, but for what brokers keep for themselves.
        var others: [TopicName] = []
        /// More records than are shown.
        var isCut = false
    }

    private struct Silence: Error, CustomStringConvertible {
        let description: String
    }

    /// An id can be sent as often as somebody likes.
    private static let most = 1000
    private static let patience: Int64 = 30_000

    func run(
        _ route: TraceRoute, _ follower: TraceFollower, _ client: ClientConfiguration, _ progress: TraceProgress
    ) async throws -> Result {
        let admin = try Admin(client, patience: .seconds(10))
        let consumer: Consumer
        var configuration = ConsumerConfiguration(client, group: "flotilla-trace")
        configuration.tellsEnds = true
        // One topic after the other: what waits for more of the last one would hold up the next.
        configuration.fetchWait = .milliseconds(20)
        do { consumer = try Consumer(configuration) } catch {
            await admin.close()
            throw error
        }
        do {
            let result = try await scan(route, follower, admin, consumer, progress)
            await consumer.close()
            await admin.close()
            return result
        } catch {
            await consumer.close()
            await admin.close()
            throw error
        }
    }

    private func scan(
        _ route: TraceRoute, _ follower: TraceFollower, _ admin: Admin, _ consumer: Consumer, _ progress: TraceProgress
    ) async throws -> Result {
        var (result, follower) = (Result(), follower)
        var committed: [HandlerName: [TopicPartition: PartitionOffset]] = [:]
        let there = try await admin.topics(nil)
        for stop in route.stops {
            // A copy waits in a topic of its own, so these go together.
            for wanted in stop.names {
                guard let description = there[wanted.name] else {
                    result.looked.append(Looked(topic: wanted.name, records: nil))
                    continue
                }
                let (starts, ends) = try await places(description, consumer)
                var looked = Looked(topic: wanted.name)
                let total = ends.reduce(0) { $0 + $1.value.rawValue - (starts[$1.key]?.rawValue ?? 0) }
                looked.records = total
                progress.begin(wanted.name, total)
                try await read(starts, ends, consumer, progress) { record in
                    guard let id = record.lastHeader("ce_id").flatMap({ $0 }) else { return }
                    var source: String?
                    func sender() -> String? {
                        source = record.lastHeader("ce_source").flatMap { $0 }.map {
                            String(decoding: $0, as: UTF8.self)
                        }
                        return source
                    }
                    guard let match = follower.match(id: id, source: sender()), let source else { return }
                    looked.found += 1
                    guard result.found.count < Self.most else {
                        result.isCut = true
                        return
                    }
                    let found = TraceRecord(record, stop, wanted, source, match)
                    // Outputs of a retry or a replay have the ids that they would have had at once.
                    follower.follow(found.name, through: found.readers(stop))
                    result.found.append(found)
                }
                result.looked.append(looked)
            }
        }
        progress.end()
        let looked = Set(result.looked.map(\.topic))
        result.others = there.keys.filter { !looked.contains($0) && !$0.rawValue.hasPrefix("__") }.sorted()
        for index in result.found.indices {
            let found = result.found[index]
            guard let stop = route.stops.first(where: { $0.topic.name == found.topic }) else { continue }
            for handler in found.readers(stop) {
                if committed[handler] == nil {
                    committed[handler] = try await admin.committed(
                        by: route.namespace.group(handler), of: Array(Set(result.found.map(\.place))))
                }
                let next = committed[handler]?[found.place]?.offset
                result.found[index].progress.append(.init(handler: handler, next: next, isState: false))
            }
        }
        return result
    }

    /// Where each partition is to be read from, and up to where; those with nothing to read are left out.
    private func places(
        _ topic: TopicDescription, _ consumer: Consumer
    ) async throws(KafkaFault) -> (starts: [TopicPartition: Offset], ends: [TopicPartition: Offset]) {
        // Missing in the answer: no record is as young.
        let all = topic.partitions.map { TopicPartition(topic.name, $0.partition) }
        var starts = try await consumer.offsets(at: since, of: all)
        var ends: [TopicPartition: Offset] = [:]
        if let until, !starts.isEmpty { ends = try await consumer.offsets(at: until, of: Array(starts.keys)) }
        for (place, start) in starts {
            let marks = try await consumer.watermarks(place)
            ends[place] = min(ends[place] ?? marks.high, marks.high)
            starts[place] = max(start, marks.low)
        }
        for (place, end) in ends where (starts[place] ?? end) >= end { (starts[place], ends[place]) = (nil, nil) }
        return (starts, ends)
    }

    private func read(
        _ starts: [TopicPartition: Offset], _ ends: [TopicPartition: Offset], _ consumer: Consumer,
        _ progress: TraceProgress, _ body: (Record) -> Void
    ) async throws {
        guard !starts.isEmpty else { return }
        var left = ends
        var movedAt = Time.monotonicMilliseconds
        try await consumer.assign(starts.mapValues { .offset($0) })
        while !left.isEmpty {
            guard Time.monotonicMilliseconds - movedAt < Self.patience else {
                throw Silence(
                    description:
                        "the broker has brought nothing for 30 s of \(left.keys.map(\.description).sorted().joined(separator: ", "))"
                )
            }
            for event in try await consumer.nextAll(within: .seconds(1)) {
                switch event {
                case .records(let batch):
                    movedAt = Time.monotonicMilliseconds
                    for record in batch {
                        guard let end = left[record.topicPartition] else { continue }
                        if record.offset < end { body(record) }
                        if record.offset.next >= end { left[record.topicPartition] = nil }
                    }
                    progress.read(batch.count)
                // What is at the end of the log may be no record, or may have been deleted meanwhile.
                case .end(let place, let offset): if let end = left[place], offset >= end { left[place] = nil }
                case .fault(let fault): if fault.isFatal { throw fault }
                case .assigned, .revoked, .lost: break
                }
            }
        }
    }
}
