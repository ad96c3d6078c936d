internal import Commands
internal import DeadLetters
internal import Flotilla
internal import JSON
internal import Kafka
internal import Model
internal import Redis

extension Command {
    /// Where a handler's group goes on, and what is behind that; and which skips of it no worker has come to yet.
    static func showStanding(
        _ handler: HandlerName, _ place: DlqPlace, _ redis: RedisConfiguration?, isJSON: Bool
    ) async throws -> ExitCode {
        let found = try await lags(of: handler, place)
        let lags = found.told.sorted { $0.key < $1.key }.filter { $0.value.records > 0 }
        var skips: [OperatorSkip] = []
        if let redis {
            let client = try RedisClient(redis)
            defer { client.close() }
            guard let all = await ControlBoard(client, place.namespace).skips() else {
                throw Refused("Redis does not answer, and knows which skips wait: \(redis)")
            }
            skips = all.filter { $0.handler == handler }
                .sorted { ($0.place, $0.offset) < ($1.place, $1.offset) }
        }
        func plain(_ topic: TopicName) -> String { place.namespace.plain(topic)?.rawValue ?? topic.rawValue }
        guard !isJSON else {
            print(
                JSONWriter.line { json in
                    json.array("standing") { list in
                        for (at, lag) in lags {
                            list.object { json in
                                json.member("topic", plain(at.topic))
                                json.member("partition", Int64(at.partition.rawValue))
                                json.member("offset", (lag.committed ?? lag.watermarks.low).rawValue)
                                json.member("behind", lag.records)
                            }
                        }
                    }
                    if !found.untold.isEmpty {
                        json.array("untold") { list in
                            for at in found.untold.sorted() {
                                list.object { json in
                                    json.member("topic", plain(at.topic))
                                    json.member("partition", Int64(at.partition.rawValue))
                                }
                            }
                        }
                    }
                    json.array("skips") { list in
                        for skip in skips {
                            list.object { json in
                                json.member("topic", plain(skip.topic))
                                json.member("partition", Int64(skip.partition.rawValue))
                                json.member("offset", skip.offset.rawValue)
                                json.member("at", skip.at)
                                json.member("by", skip.by)
                                json.member("reason", skip.reason)
                            }
                        }
                    }
                })
            return .ok
        }
        var table = TextTable(["TOPIC", "PARTITION", "OFFSET", "BEHIND"], right: [1, 2, 3])
        for (at, lag) in lags {
            table.add([
                plain(at.topic), "\(at.partition)", "\(lag.committed ?? lag.watermarks.low)", "\(lag.records)",
            ])
        }
        if !lags.isEmpty { print(table.text) }
        if !found.untold.isEmpty {
            let untold = found.untold.sorted().map { "\(plain($0.topic)) \($0.partition)" }.joined(separator: ", ")
            print("no broker told how much waits in \(untold)")
        } else if lags.isEmpty {
            print("\(handler) is behind nowhere")
        }
        guard !skips.isEmpty else { return .ok }
        var waiting = TextTable(["SKIP OF", "PARTITION", "OFFSET", "SINCE", "BY", "REASON"], right: [1, 2])
        for skip in skips {
            waiting.add([
                plain(skip.topic), "\(skip.partition)", "\(skip.offset)", skip.at, skip.by, skip.reason,
            ])
        }
        print(waiting.text)
        return .ok
    }

    private static func lags(
        of handler: HandlerName, _ place: DlqPlace
    ) async throws -> GroupLags {
        guard let client = place.client else { throw Refused("KAFKA_BROKERS is not set") }
        return try await Admin.use(client) { admin in
            let families = try await admin.topics(nil).keys.compactMap { DeadLetter.family(of: $0, place.namespace) }
            let sources = families.filter { $0.handler == handler }.map { place.namespace.topic($0.source) }
            guard !sources.isEmpty else {
                throw Refused("no topic is read by \(handler) here: \(Program.name) topics apply makes them")
            }
            return try await admin.lag(of: place.namespace.group(handler), on: Set(sources))
        }
    }
}
