internal import Contracts
internal import Flotilla
package import Kafka
package import Model
internal import Platform
internal import Postgres

/// Which of what was replayed may still lie before its handler: in the topic that it went to, or in a retry topic behind it.
///
/// What is opened although its copy waits is replayed in a higher round, which the memory lets pass: the handler would
/// handle it twice once it comes to both.
package struct WaitingCopies: Sendable {
    /// A partition of the topic that something was replayed to, and of the retry topics behind it.
    struct Place: Sendable, Hashable {
        let family: TopicFamily
        let toSource: Bool
        let partition: Partition
    }

    /// What a place says of the copies in it.
    struct Mark: Sendable {
        let place: Place
        /// Nothing below waits in the topic itself.
        let next: Offset
        /// Nothing lies there, here or beyond.
        let end: Offset
        /// What waits for its next try.
        var tries: Set<Copy> = []
    }

    /// What a copy is known by: its dead letter's name, and where it was in the source when it is from there.
    struct Copy: Sendable, Hashable {
        let id: UUIDValue
        let offset: Offset?
    }

    /// Whose topics they are in.
    let fleet: Namespace
    let marks: [Mark]
    /// Places that could not be looked through, and why: of what is there nobody knows anything.
    let unseen: [Place: String]
    /// What was published later is in none of the marks, by the clock of the database.
    let at: Timestamp

    /// Of all that is replayed and fits. Throws when the index does not have within `patience` what was told of replays by
    /// now: what was handled would look like what nobody tells of.
    package init(
        _ filter: DeadLetterFilter, _ index: DeadLetterIndex, _ client: ClientConfiguration, _ fleet: Namespace,
        patience: Duration = .seconds(5)
    )
        async throws
    {
        let (at, places) = try await index.replayedPlaces(filter)
        self = try await Self.look(at: places, client, fleet, at: at)
        // An end is told before a copy is left behind, so what is told is asked for later.
        let ends = try await Self.endsOfWhatIsTold(client, fleet)
        let deadline = Time.monotonicMilliseconds + patience.milliseconds
        while !ends.isEmpty {
            let read = try await index.positions()
            if ends.allSatisfy({ read[$0.key, default: 0] >= $0.value }) { break }
            guard Time.monotonicMilliseconds < deadline else {
                throw Refused(
                    "the index does not have yet what was told of replays: start flotilla work deadletters, and try again"
                )
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    init(
        marks: [Mark], unseen: [Place: String] = [:], at: Timestamp = Timestamp(milliseconds: 0),
        fleet: Namespace = Namespace()
    ) {
        (self.marks, self.unseen, self.at, self.fleet) = (marks, unseen, at, fleet)
    }

    /// Where what workers tell of replays ends now; partitions that have nothing are left out.
    static func endsOfWhatIsTold(
        _ client: ClientConfiguration, _ fleet: Namespace
    ) async throws -> [TopicPartition: Offset] {
        let topic = fleet.topic(.outcomes)
        return try await Admin.use(client) { admin in
            try await admin.bounds(of: try await admin.topics([topic])[topic])
        }.filter { $0.value.low < $0.value.high }.mapValues(\.high)
    }

    // MARK: Looking

    /// What the retry topics of a place are read of: when they have more, nothing is known of it. And for so long all are
    /// looked at.
    private static let most = (bytes: 64 << 20, time: Duration.seconds(10), together: Duration.seconds(20))

    static func look(
        at places: [Place], _ client: ClientConfiguration, _ fleet: Namespace,
        at time: Timestamp = Timestamp(milliseconds: 0)
    ) async throws -> WaitingCopies {
        guard !places.isEmpty else { return WaitingCopies(marks: [], at: time, fleet: fleet) }
        let reader = try RecordReader(client)
        let found: Result<WaitingCopies, any Error>
        do {
            let (marks, unseen) = try await Admin.use(client) { try await look(at: places, $0, reader, fleet) }
            found = .success(WaitingCopies(marks: marks, unseen: unseen, at: time, fleet: fleet))
        } catch { found = .failure(error) }
        await reader.close()
        return try found.get()
    }

    private static func look(
        at places: [Place], _ admin: Admin, _ reader: RecordReader, _ fleet: Namespace
    ) async throws -> ([Mark], [Place: String]) {
        let topics = try await admin.topics(nil)
        var (marks, unseen): ([Mark], [Place: String]) = ([], [:])
        let deadline = Time.monotonicMilliseconds + most.together.milliseconds
        // Which ones there is time for is left to chance, so that those that take long do not keep the others for ever.
        for place in places.shuffled() {
            guard Time.monotonicMilliseconds < deadline else {
                unseen[place] = "there was no time left to look at it"
                continue
            }
            do { marks.append(try await look(at: place, topics, admin, reader, fleet)) } catch {
                if error is CancellationError { throw error }
                unseen[place] = ErrorText.line("\(error)", bytes: 256)
            }
        }
        return (marks, unseen)
    }

    private static func look(
        at place: Place, _ topics: [TopicName: TopicDescription], _ admin: Admin, _ reader: RecordReader,
        _ fleet: Namespace
    ) async throws -> Mark {
        let family = place.family
        let prefix = fleet.topic(family.retry("")).rawValue
        let tries = topics.values.filter {
            $0.name.rawValue.hasPrefix(prefix) && $0.partitions.contains { $0.partition == place.partition }
        }.map { TopicPartition($0.name, place.partition) }
        let target = TopicPartition(fleet.topic(place.toSource ? family.source : family.replay), place.partition)
        // What fails is copied, and its copy is in the next topic before it is left behind in the one before: where each is
        // read to is asked first, and where they end later.
        let committed = try await admin.committed(by: fleet.group(family.handler), of: tries + [target])
            .mapValues(\.offset)
        func range(_ place: TopicPartition) async throws -> Watermarks? {
            do { return try await reader.range(of: place) } catch {
                guard try await reader.isGone(place, error) else { throw error }
                return nil
            }
        }
        /// What was committed beyond the end is of another topic of that name.
        func next(_ place: TopicPartition, _ there: Watermarks) -> Offset {
            let next = committed[place] ?? there.low
            return next > there.high ? there.low : max(there.low, next)
        }
        var (waiting, ends): ([TopicPartition: Offset], [TopicPartition: Offset]) = ([:], [:])
        for retry in tries {
            guard let there = try await range(retry) else { continue }
            let next = next(retry, there)
            if next < there.high { (waiting[retry], ends[retry]) = (next, there.high) }
        }
        var copies: Set<Copy> = []
        let hasReadAll = try await reader.readAll(
            waiting.keys.sorted(), startingAt: waiting, until: ends, within: most.time, maxBytes: most.bytes
        ) { record in
            guard let copy = Copy(record, of: family), !place.toSource || copy.offset != nil else { return }
            copies.insert(copy)
        }
        guard hasReadAll else {
            throw Refused(
                "more waits in \(prefix)* for its next try than is looked through (\(most.bytes >> 20) MiB, \(most.time))"
            )
        }
        let there = try await range(target)
        return Mark(
            place: place, next: there.map { next(target, $0) } ?? Offset(.max),
            end: there?.high ?? Offset(.max), tries: copies)
    }
}

extension WaitingCopies.Copy {
    /// Of a record of a retry topic; nil when that does not say where it was first, as those that replays copied do.
    fileprivate init?(_ record: Record, of family: TopicFamily) {
        var found: [String: String] = [:]
        for name in [HeaderName.sourceTopic, HeaderName.sourcePartition, HeaderName.sourceOffset] {
            guard let value = record.lastHeader(name).flatMap({ $0 }) else { continue }
            found[name] = String(decoding: value.prefix(1024), as: UTF8.self)
        }
        guard let source = SourceCoordinates(found, of: family) else { return nil }
        id = source.deadLetterID(for: family.handler)
        offset = source.topic == family.source ? source.offset : nil
    }
}

// As rows, for the index to join with.
extension WaitingCopies {
    /// `m (topic, handler, to_source, partition, next, past, tries)`; nothing of a place that could not be looked through.
    var rows: SQL {
        """
        unnest(\(marks.map(\.place.family.source.rawValue))::text[],
            \(marks.map(\.place.family.handler.rawValue))::text[],
            \(marks.map(\.place.toSource))::boolean[], \(marks.map(\.place.partition.rawValue))::int[],
            \(marks.map(\.next.rawValue))::bigint[], \(marks.map(\.end.rawValue))::bigint[],
            \(marks.map(\.tries.count))::bigint[])
            AS m (topic, handler, to_source, partition, next, past, tries)
        """
    }

    /// `w (id)`: the dead letters of which a copy waits for its next try.
    var tries: SQL {
        "unnest(\(marks.filter { !$0.place.toSource }.flatMap { $0.tries.map(\.id) })::uuid[]) AS w (id)"
    }

    /// `s (topic, handler, partition, place)`: the records of sources of which a copy waits for its next try.
    var sources: SQL {
        let all = marks.filter(\.place.toSource).flatMap { mark in
            mark.tries.compactMap { copy in copy.offset.map { (mark.place, $0) } }
        }
        return """
            unnest(\(all.map(\.0.family.source.rawValue))::text[], \(all.map(\.0.family.handler.rawValue))::text[],
                \(all.map(\.0.partition.rawValue))::int[], \(all.map(\.1.rawValue))::bigint[])
                AS s (topic, handler, partition, place)
            """
    }

    /// Why nobody knows of some of a family's.
    func trouble(_ family: TopicFamily, toSource: Bool) -> String? {
        unseen.filter { $0.key.family == family && $0.key.toSource == toSource }
            .min { $0.key.partition < $1.key.partition }
            .map { "Partition \($0.key.partition) could not be looked at: \($0.value)" }
    }
}

extension Admin {
    /// Where each partition of a topic begins and ends; none of a topic that there is not.
    func bounds(of topic: TopicDescription?) async throws(KafkaFault) -> [TopicPartition: Watermarks] {
        var bounds: [TopicPartition: Watermarks] = [:]
        guard let topic else { return [:] }
        for partition in topic.partitions {
            let place = TopicPartition(topic.name, partition.partition)
            bounds[place] = try await watermarks(place)
        }
        return bounds
    }
}
