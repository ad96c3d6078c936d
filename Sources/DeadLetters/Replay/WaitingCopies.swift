internal import Contracts
internal import Flotilla
package import Kafka
package import Model
internal import Platform
internal import Postgres

/// Which of what was replayed may still lie before its handler, in the topic that it went to.
///
/// What is opened although its copy waits is replayed in a higher round, which the memory lets pass: the handler would
/// handle it twice once it comes to both.
package struct WaitingCopies: Sendable {
    /// What a partition says of the copies in it.
    struct Mark: Sendable, Hashable {
        let family: TopicFamily
        let toSource: Bool
        let partition: Partition
        /// Nothing below waits.
        let next: Offset
        /// Nothing lies here or beyond.
        let end: Offset
    }

    let marks: [Mark]
    /// What was published later is in none of the marks, by the clock of the database.
    let at: Timestamp

    /// Of all that is replayed and fits. Throws when a broker does not say, and when the index does not have within
    /// `patience` what was told of replays by now: what was handled would look like what nobody tells of.
    package init(
        _ filter: DeadLetterFilter, _ index: DeadLetterIndex, _ client: ClientConfiguration, _ fleet: Namespace,
        patience: Duration = .seconds(5)
    )
        async throws
    {
        let (at, asked) = try await index.replayedPlaces(filter)
        // An end is told before a copy is left behind, so what is told is asked for later.
        (marks, self.at) = (try await Self.marks(of: asked, client, fleet), at)
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

    init(marks: [Mark], at: Timestamp) { (self.marks, self.at) = (marks, at) }

    /// Those of the places where no copy waits for its next try, when those in the replay topic are gone.
    static func free(
        _ places: [Place], _ client: ClientConfiguration, _ fleet: Namespace
    ) async throws -> Set<Place> {
        let marks = try await marks(of: places, client, fleet)
        return Set(
            marks.filter { $0.next > 0 }.map {
                Place(family: $0.family, toSource: $0.toSource, partition: $0.partition)
            })
    }

    /// Where what workers tell of replays ends now; partitions that have nothing are left out.
    private static func endsOfWhatIsTold(
        _ client: ClientConfiguration, _ fleet: Namespace
    ) async throws -> [TopicPartition: Offset] {
        let (admin, topic) = (try Admin(client, patience: .seconds(10)), fleet.topic(.outcomes))
        let found: Result<[TopicPartition: Watermarks], any Error>
        do { found = .success(try await admin.bounds(of: try await admin.topics([topic])[topic])) } catch {
            found = .failure(error)
        }
        await admin.close()
        return try found.get().filter { $0.value.low < $0.value.high }.mapValues(\.high)
    }

    private static func marks(
        of asked: [Place], _ client: ClientConfiguration, _ fleet: Namespace
    ) async throws -> [Mark] {
        var marks: [Mark] = []
        for (handler, places) in Dictionary(grouping: asked, by: \.family.handler).sorted(by: { $0.key < $1.key }) {
            let consumer = try Consumer(ConsumerConfiguration(client, group: fleet.group(handler)))
            let found: Result<[Mark], any Error>
            do { found = .success(try await Self.look(at: places, consumer, client, fleet)) } catch {
                found = .failure(error)
            }
            await consumer.close()
            marks += try found.get()
        }
        return marks
    }

    struct Place: Sendable, Hashable {
        let family: TopicFamily
        let toSource: Bool
        let partition: Partition
    }

    private static func look(
        at places: [Place], _ consumer: Consumer, _ client: ClientConfiguration, _ fleet: Namespace
    ) async throws -> [Mark] {
        let admin = try Admin(client, patience: .seconds(10))
        let known: Result<[TopicName: TopicDescription], any Error>
        do { known = .success(try await admin.topics(nil)) } catch { known = .failure(error) }
        await admin.close()
        let topics = try known.get()
        var marks: [Mark] = []
        for place in places {
            let plain = place.toSource ? place.family.source : place.family.replay
            let target = TopicPartition(fleet.topic(plain), place.partition)
            let prefix = fleet.topic(place.family.retry("")).rawValue
            let tries = topics.values.filter {
                $0.name.rawValue.hasPrefix(prefix) && $0.partitions.contains { $0.partition == place.partition }
            }.map { TopicPartition($0.name, place.partition) }
            // What has failed meanwhile waits for its next try under the same round. A copy is in the next topic before
            // it is left behind in the one before, so where each is read to is asked first, and where they end later.
            let committed = try await consumer.committed(tries + [target], within: .seconds(10)).mapValues(\.offset)
            func range(_ place: TopicPartition) async throws -> Watermarks? {
                do throws(KafkaFault) { return try await consumer.watermarks(place) } catch {
                    // One that nobody leads at the moment is told as one that there is not.
                    guard error.kind == .unknownTopic || error.kind == .unknownPartition,
                        topics[place.topic]?.partitions.contains(where: { $0.partition == place.partition }) != true
                    else { throw error }
                    return nil
                }
            }
            var isTriedAgain = false
            for retry in tries {
                guard let there = try await range(retry) else { continue }
                let next = max(there.low, committed[retry] ?? there.low)
                if next < there.high { isTriedAgain = true }
            }
            let there = try await range(target)
            var (next, end) = (Offset(.max), Offset(.max))
            if let there { (next, end) = (max(there.low, committed[target] ?? there.low), there.high) }
            if isTriedAgain { (next, end) = (0, Offset(.max)) }
            marks.append(
                Mark(
                    family: place.family, toSource: place.toSource, partition: place.partition, next: next, end: end))
        }
        return marks
    }

    /// As rows of `m (topic, handler, to_source, partition, next, past)`.
    var rows: SQL {
        """
        unnest(\(marks.map(\.family.source.rawValue))::text[], \(marks.map(\.family.handler.rawValue))::text[],
            \(marks.map(\.toSource))::boolean[], \(marks.map(\.partition.rawValue))::int[],
            \(marks.map(\.next.rawValue))::bigint[], \(marks.map(\.end.rawValue))::bigint[])
            AS m (topic, handler, to_source, partition, next, past)
        """
    }
}

extension DeadLetterIndex {
    /// What became of what was to be given up.
    package struct GivenUp: Sendable, Hashable {
        /// So many are open again.
        package let count: Int
        /// So many are as they were.
        package let left: Int
        /// Why, and what is to be done about it; empty when none was left.
        package let why: String
    }

    /// Has what was replayed, and whose end nobody has told, be open again: what the handler is past, or what its topic
    /// has let go of. When it is told after all, that counts. What may still be handled is left as it is.
    package func giveUp(
        _ filter: DeadLetterFilter, limit: Int? = nil, confirmed: Int, who: String, waiting copies: WaitingCopies
    ) async throws -> GivenUp {
        try await change { transaction in
            let rows = try await transaction.query(
                """
                WITH chosen AS (\(filter.chosen(.replayed, limit))), judged AS (
                    SELECT e.id, e.topic, e.handler, p.to_source, coalesce(
                        coalesce(i.published_at, e.state_at) < \(copies.at)::timestamptz
                            AND CASE WHEN p.place IS NULL THEN m.next >= m.past
                                ELSE p.place < m.next OR p.place >= m.past END, false) AS is_free
                    FROM chosen c JOIN entries e ON e.id = c.id
                    LEFT JOIN jobs j ON j.id = e.job
                    LEFT JOIN items i ON i.entry = e.id AND i.job = e.job AND i.replays = e.replays
                    CROSS JOIN LATERAL (SELECT coalesce(j.to_source, false) AS to_source,
                        CASE WHEN j.to_source THEN i.source_offset ELSE i.published_offset END AS place) p
                    LEFT JOIN \(copies.rows) ON m.topic = e.topic AND m.handler = e.handler
                        AND m.partition = e.src_partition AND m.to_source = p.to_source
                ), moved AS (
                    UPDATE entries e SET state = 'open', state_at = now() FROM judged g WHERE e.id = g.id AND g.is_free
                    RETURNING e.id, e.job, e.replays
                ), ended AS (
                    UPDATE items i SET outcome = \("skipped: given up by \(who)"), outcome_at = now() FROM moved m
                    WHERE i.entry = m.id AND i.job = m.job AND i.replays = m.replays AND i.outcome IS NULL RETURNING i.job
                ), counted AS (
                    UPDATE jobs j SET skipped = skipped + n FROM (SELECT job, count(*) AS n FROM ended GROUP BY job) e
                    WHERE j.id = e.job AND NOT j.to_source)
                SELECT topic, handler, to_source, is_free, count(*) AS n FROM judged GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3
                """)
            var (count, left, places, handlers) = (0, 0, [String](), [String]())
            for row in rows {
                let number: Int = try row.value("n")
                if try row.value("is_free", as: Bool.self) {
                    count += number
                    continue
                }
                left += number
                let handler: String = try row.value("handler")
                let family = TopicFamily(TopicName(try row.value("topic", as: String.self)), HandlerName(handler))
                let isSource: Bool = try row.value("to_source")
                places.append("\(number) in \(isSource ? family.source : family.replay)")
                if !handlers.contains(handler) { handlers.append(handler) }
            }
            let why =
                "the handler may still come to their copies (\(places.joined(separator: ", ")), or in a retry topic behind it), "
                + "and opened now they would be handled twice. Start \(handlers.joined(separator: ", ")), which ends them, "
                + "or wait until the topic's retention has deleted the copies"
            guard count + left > 0 else { throw Refused("none that is replayed fits: nothing has changed") }
            guard count > 0 else { throw Refused("none of \(left) is given up: \(why)") }
            guard count <= confirmed else { throw Refused.more(count, than: confirmed) }
            transaction.later(
                Self.audit(who, "restore", filter.json, count, "\(count) open" + (left > 0 ? ", \(left) left" : "")))
            return GivenUp(count: count, left: left, why: left > 0 ? why : "")
        }
    }

    /// Where copies of what is replayed and fits may lie, and when that was.
    fileprivate func replayedPlaces(_ filter: DeadLetterFilter) async throws -> (Timestamp, [WaitingCopies.Place]) {
        try await pool.transaction { transaction in
            let at: Timestamp? = try await transaction.query("SELECT now() AS at").first?.value("at")
            let places = try await transaction.query(
                """
                SELECT DISTINCT e.topic, e.handler, e.src_partition, coalesce(j.to_source, false) AS to_source
                FROM (SELECT * FROM entries WHERE \(filter.condition) AND state = 'replayed') e
                LEFT JOIN jobs j ON j.id = e.job ORDER BY 1, 2, 3, 4
                """
            ).map { row in
                WaitingCopies.Place(
                    family: TopicFamily(
                        TopicName(try row.value("topic", as: String.self)),
                        HandlerName(try row.value("handler", as: String.self))),
                    toSource: try row.value("to_source"), partition: Partition(try row.value("src_partition")))
            }
            return (at ?? Timestamp(milliseconds: 0), places)
        }
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
