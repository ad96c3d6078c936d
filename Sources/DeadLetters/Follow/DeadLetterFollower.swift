internal import Contracts
package import Flotilla
internal import JSON
package import Kafka
package import Model
internal import Platform
internal import Synchronization

/// Reads every dead-letter topic, and what workers tell of replays, into the index.
///
/// It is in no group: the index itself says how far each partition is, in the transaction that takes its records in. So
/// after any end it goes on exactly there, and whatever fails, it is enough to begin anew from what the index says.
package final class DeadLetterFollower: Sendable {
    let index: DeadLetterIndex
    let client: ClientConfiguration
    /// What its clients of Kafka say of themselves.
    let clients = ClientFigures()
    let namespace: Namespace
    let service: HandlerService
    let gauges = FollowerGauges()
    /// What keeps topics from being read.
    private let faults = Mutex<[TopicName: String]>([:])
    /// Up to where the index has what workers tell of replays.
    private let outcomesRead = Mutex<[TopicPartition: Offset]>([:])

    /// How often it looks for new topics.
    private static let look: Int64 = 5000
    /// How often one that could not be read is tried anew: nobody tells when it can be.
    private static let retry: Int64 = 10_000

    /// The topics that cannot be read, and why.
    var troubles: [String] { faults.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }

    package init(
        _ index: DeadLetterIndex, _ client: ClientConfiguration, _ namespace: Namespace, _ service: HandlerService
    ) {
        self.index = index
        self.client = client
        self.namespace = namespace
        self.service = service
    }

    /// Follows until the service ends or the task is cancelled. Throws what it cannot go on with.
    package func follow() async throws {
        try await Admin.use(client) { admin in
            var configuration = ConsumerConfiguration(client, group: namespace.group(.deadLetters))
            configuration.maxPrefetchedBytes = 16 << 20
            configuration.tellsEnds = true
            configuration.client.tell(clients, as: "consumer.deadletters")
            let consumer = try Consumer(configuration)
            let result: Result<Void, any Error>
            do { result = .success(try await follow(admin, consumer)) } catch { result = .failure(error) }
            await consumer.close()
            clients.forget("consumer.deadletters")
            try result.get()
        }
    }

    private func follow(_ admin: Admin, _ consumer: Consumer) async throws {
        faults.withLock { $0 = [:] }
        outcomesRead.withLock { $0 = [:] }
        var places = ReadingPlaces(try await index.positions(), try await index.lastRecords())
        var families: [TopicName: TopicFamily] = [:]
        var assigned: Set<TopicPartition> = []
        var (lookedAt, triedAt) = (Int64.min, Int64.min)
        while !service.isEnding, !Task.isCancelled {
            let now = Time.monotonicMilliseconds
            if lookedAt == .min || now - lookedAt >= Self.look {
                lookedAt = now
                let topics = try await admin.topics(nil)
                families = [:]
                for name in topics.keys { families[name] = DeadLetter.family(of: name, namespace) }
                let wanted = Set(
                    topics.values.filter { families[$0.name] != nil || $0.name == outcomes }.flatMap { topic in
                        topic.partitions.map { TopicPartition(topic.name, $0.partition) }
                    })
                let known = Set(wanted.map(\.topic))
                let hasFaults = faults.withLock { faults in
                    faults = faults.filter { known.contains($0.key) }
                    return !faults.isEmpty
                }
                if wanted != assigned || hasFaults && now - triedAt >= Self.retry {
                    triedAt = now
                    try await assign(wanted, besides: assigned, &places, consumer)
                    assigned = wanted
                    gauges.topics.store(families.count, ordering: .relaxed)
                }
            }
            if service.isPaused || assigned.isEmpty {
                await service.nap(.milliseconds(500))
                continue
            }
            let events = try await consumer.nextAll(within: .milliseconds(500))
            let (batch, anew) = try read(events, &places, families)
            if !batch.isEmpty {
                try await index.take(batch)
                places.note(batch)
            }
            note(outcomesOf: batch, events)
            for place in anew {
                service.log.warning(
                    "the topic was made anew since it was read last; it is read from its beginning",
                    [("topic", place.topic), ("partition", place.partition)])
            }
            if !anew.isEmpty { try await assign(assigned, besides: assigned, &places, consumer) }
            gauges.letters.add(batch.letters.count, ordering: .relaxed)
            gauges.outcomes.add(batch.outcomes.count, ordering: .relaxed)
        }
    }

    private func assign(
        _ wanted: Set<TopicPartition>, besides known: Set<TopicPartition>, _ places: inout ReadingPlaces,
        _ consumer: Consumer
    ) async throws {
        var points: [TopicPartition: Consumer.StartingPoint] = [:]
        for place in wanted { points[place] = places.start(place, isNew: !known.contains(place)) }
        try await consumer.assign(points)
    }

    private var outcomes: TopicName { namespace.topic(.outcomes) }

    /// Whether the index has what was told below these offsets.
    func hasReadOutcomes(to ends: [TopicPartition: Offset]) -> Bool {
        outcomesRead.withLock { read in ends.allSatisfy { read[$0.key, default: 0] >= $0.value } }
    }

    /// The index has what came with these.
    private func note(outcomesOf batch: IndexBatch, _ events: [ConsumerEvent]) {
        outcomesRead.withLock { read in
            for (place, moved) in batch.positions where place.topic == outcomes { read[place] = moved.to }
            for case .end(let place, let offset) in events where place.topic == outcomes {
                read[place] = max(read[place, default: 0], offset)
            }
        }
    }

    /// What came, and which partitions have turned out to be others than those that were read.
    private func read(
        _ events: [ConsumerEvent], _ places: inout ReadingPlaces, _ families: [TopicName: TopicFamily]
    ) throws -> (IndexBatch, anew: Set<TopicPartition>) {
        var batch = IndexBatch()
        var anew: Set<TopicPartition> = []
        var lasts: [TopicPartition: Record] = [:]
        for event in events {
            switch event {
            case .records(let records):
                var last: TopicName?
                for record in records {
                    if record.topic != last {
                        clear(record.topic)
                        last = record.topic
                    }
                    let place = record.topicPartition
                    switch places.find(record, families[record.topic]) {
                    case .next where anew.contains(place), .isKnown: continue
                    case .isAnother:
                        anew.insert(place)
                        continue
                    case .next: break
                    }
                    batch.positions[place] = (places.positions[place], record.offset.next)
                    lasts[place] = record
                    if let family = families[record.topic] {
                        guard !DeadLetter.isOfNamedFleet(record, family) else { continue }
                        batch.add(DeadLetter(record, of: family))
                    } else if let outcome = ReplayOutcome(record) {
                        batch.add(outcome)
                    }
                }
            case .end(let place, let offset):
                clear(place.topic)
                if places.isShorter(place, end: offset) { anew.insert(place) }
            case .fault(let fault) where fault.isFatal: throw fault
            case .fault(let fault): note(fault)
            case .assigned, .revoked, .lost: break
            }
        }
        for (place, record) in lasts { batch.lasts[place] = LastRecord(record, families[place.topic]) }
        return (batch, anew)
    }

    /// Tells of what does not mend itself. A topic that is gone is noticed by itself.
    private func note(_ fault: KafkaFault) {
        guard let topic = fault.site.topic, !fault.isRetriable, fault.kind != .unknownTopic,
            fault.kind != .unknownPartition
        else { return }
        let isNew = faults.withLock { $0.updateValue("\(fault)", forKey: topic) == nil }
        if isNew { service.log.error("the topic cannot be read", [("topic", topic), ("error", fault)]) }
    }

    private func clear(_ topic: TopicName) {
        guard faults.withLock({ $0.removeValue(forKey: topic) }) != nil else { return }
        service.log.info("the topic can be read again", [("topic", topic)])
    }
}

extension ReplayOutcome {
    /// Of a record of `flotilla.outcomes`; nil for what is none.
    init?(_ record: Record) {
        guard let value = record.value, value.byteCount <= 65_536,
            let root = try? JSONDocument(parsing: value.copied).root,
            let id = root["dlq_id"]?.string.flatMap(UUIDValue.init(text:)), let job = root["job"]?.string,
            let replays = root["replays"]?.int64, let outcome = root["outcome"]?.string,
            outcome == "done" || outcome == "repeat" || outcome.hasPrefix("dead:")
        else { return nil }
        round = Round(id: id, job: ErrorText.line(job, bytes: 128), replays: replays)
        self.outcome = ErrorText.line(outcome, bytes: 128)
        at = root["at"]?.string.flatMap(Timestamp.init(text:)) ?? DeadLetter.written(record)
    }
}
