internal import Commands
internal import Contracts
internal import DeadLetters
internal import Flotilla
internal import JSON
internal import Kafka
internal import Model
internal import Platform

extension Command {
    /// `rewind HANDLER`: read again.
    static let rewind = Command(
        name: "rewind", summary: "have a handler read again what it has read since a time",
        details: """
            A job of `work deadletters` copies the records to the handler's replay topic, which nobody else reads; its
            group's offsets stay where they are. A handler without state handles them again, though its memory says that
            they are done. A handler with state passes them over: what they did is in, and is not added twice. What is a
            dead letter is left to `dlq replay`. The time is that of the records.
            """,
        operands: [Operand(name: "HANDLER", help: "who is to read again")],
        options: [
            Option(
                name: "since", value: "T",
                help: "from this time on: RFC 3339, HH:MM of the last day (UTC), or how long ago, as 90m"),
            Option(name: "until", value: "T", fallback: "0s", help: "and before this"),
            Option(name: "rate", value: "N", fallback: "1000", help: "records a second"), DlqOptions.dryRun,
            Option(name: "no-wait", help: "leave at once"), DlqOptions.json,
        ],
        run: { arguments in
            let handler = HandlerName(arguments.operands[0])
            let now = Time.wallMilliseconds
            guard let since = try arguments.time("since", now), let until = try arguments.time("until", now) else {
                throw arguments.fault("--since says from when on")
            }
            guard since < until else { throw arguments.fault("--until is not after --since") }
            let rate = try arguments.number("rate", in: 1...10_000) ?? 1000
            let place = try DlqPlace(needsIndex: true, needsBroker: true)
            let (isJSON, isDry, leaves) = (arguments.has("json"), arguments.has("dry-run"), arguments.has("no-wait"))
            return try finish {
                let ranges = try await ranges(handler, since, until, place)
                if !isJSON { for line in lines(ranges) { print(line) } }
                let total = ranges.reduce(0) { $0 + $1.count }
                if isDry {
                    print(isJSON ? json(ranges) : "\(total) fit: without --dry-run they would be read again")
                    return .ok
                }
                var filter = DeadLetterFilter()
                (filter.handler, filter.since, filter.until) = (handler.rawValue, since, until)
                var order = DeadLetterIndex.RewindOrder(handler, ranges, filter, who: DlqPlace.user)
                order.rate = rate
                let asked = order
                return try await place.withIndex { index in
                    let job = try await index.rewind(asked)
                    let view = ReplayView(index: index, id: job.id, isJSON: isJSON)
                    guard !leaves else {
                        view.show(job)
                        return .ok
                    }
                    return try await view.follow()
                }
            }
        })

    /// What the handler has read of that time, partition by partition.
    private static func ranges(
        _ handler: HandlerName, _ since: Timestamp, _ until: Timestamp, _ place: DlqPlace
    ) async throws -> [DeadLetterIndex.RewindRange] {
        guard let client = place.client else { throw Refused("KAFKA_BROKERS is not set") }
        let admin = try Admin(client, patience: .seconds(10))
        do {
            let topics = try await admin.topics(nil)
            let families = topics.keys.compactMap { DeadLetter.family(of: $0, place.namespace) }
                .filter { $0.handler == handler }.sorted { $0.source < $1.source }
            guard !families.isEmpty else {
                throw Refused("no topic is read by \(handler) here: \(Program.name) topics apply makes them")
            }
            let committed = try await admin.committed(by: place.namespace.group(handler))
            var ranges: [DeadLetterIndex.RewindRange] = []
            for family in families {
                guard topics[place.namespace.topic(family.replay)] != nil else {
                    throw Refused(
                        "there is no topic \(family.replay) to read again from: \(Program.name) topics apply makes it")
                }
                for partition in topics[place.namespace.topic(family.source)]?.partitions ?? [] {
                    let at = TopicPartition(place.namespace.topic(family.source), partition.partition)
                    // What was never read will be read anyway.
                    guard let read = committed[at]?.offset,
                        let first = try await admin.offset(of: at, at: .time(since.milliseconds))
                    else { continue }
                    let end = try await admin.offset(of: at, at: .time(until.milliseconds)) ?? read
                    let past = min(read, end)
                    if first < past {
                        ranges.append(DeadLetterIndex.RewindRange(family, partition.partition, first, past: past))
                    }
                }
            }
            await admin.close()
            return ranges
        } catch {
            await admin.close()
            throw error
        }
    }

    private static func lines(_ ranges: [DeadLetterIndex.RewindRange]) -> [String] {
        Dictionary(grouping: ranges, by: \.family).sorted { $0.key.source < $1.key.source }.map { family, ranges in
            let count = ranges.reduce(0) { $0 + $1.count }
            return "\(count) records of \(family.source) to \(family.replay), for \(family.handler) alone"
        }
    }

    private static func json(_ ranges: [DeadLetterIndex.RewindRange]) -> String {
        var writer = JSONWriter()
        writer.array { list in
            for range in ranges {
                list.object { json in
                    json.member("topic", range.family.source.rawValue)
                    json.member("partition", Int64(range.partition.rawValue))
                    json.member("from", range.first.rawValue)
                    json.member("to", range.past.rawValue)
                }
            }
        }
        return writer.text
    }
}
