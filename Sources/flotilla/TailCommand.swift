internal import Commands
internal import Fleet
internal import Glibc
internal import JSON
internal import Kafka
internal import Model
internal import Platform

extension Command {
    static let tail = Command(
        name: "tail",
        summary: "print the records of a topic",
        details: """
            Without -f it ends where the topic ended when it began. Commits nothing, so nobody's work is touched.
            KAFKA_BROKERS says where the broker is.
            """,
        operands: [Operand(name: "TOPIC", help: "as the topic file calls it")],
        options: [
            Option(name: "follow", short: "f", help: "go on with what comes"),
            Option(
                name: "from", value: "WHERE",
                help: "earliest, latest, a time, or how long ago, as 10m; earliest unless -f is given, then latest"),
            Option(name: "json", help: "print each as a line of JSON, headers too"),
        ],
        run: { arguments in
            var settings = Settings.fromEnvironment()
            let client = ClientConfiguration.from(&settings)
            let namespace = Namespace(settings.text("FLOTILLA_NAMESPACE") ?? "")
            try settings.check()
            guard let client else { throw SettingFault(name: "KAFKA_BROKERS", problem: "is not set") }
            let follows = arguments.has("follow")
            let text = arguments["from"] ?? (follows ? "latest" : "earliest")
            guard let from = start(text) else {
                throw arguments.fault("--from \(text.debugDescription) is not earliest, latest, a time, or a duration")
            }
            let tail = Tail(
                topic: namespace.topic(TopicName(arguments.operands[0])), from: from, follows: follows,
                asJSON: arguments.has("json"))
            return try finish {
                do { try await tail.run(client) } catch let error as SystemError where error.code == EPIPE {
                    // Whoever reads has seen enough.
                }
                return .ok
            }
        })

    private static func start(_ text: String) -> Admin.OffsetQuery? {
        switch text {
        case "earliest": return .earliest
        case "latest": return .latest
        case _:
            if let ago = Duration(text: text) {
                return .time(Time.wallMilliseconds - ago.components.seconds * 1000)
            }
            return Timestamp(text: text).map { .time($0.milliseconds) }
        }
    }
}

private struct Tail: Sendable {
    let topic: TopicName
    let from: Admin.OffsetQuery
    let follows: Bool
    let asJSON: Bool

    func run(_ client: ClientConfiguration) async throws {
        let (starts, ends) = try await places(client)
        var left = ends.filter { place, end in starts[place].map { $0 < end } ?? false }
        guard follows || !left.isEmpty else { return }
        let consumer = try Consumer(ConsumerConfiguration(client, group: "flotilla-tail"))
        do {
            let points = starts.filter { follows || left[$0.key] != nil }.mapValues {
                Consumer.StartingPoint.offset($0)
            }
            try await consumer.assign(points)
            while follows || !left.isEmpty {
                for event in try await consumer.nextAll(within: .seconds(1)) {
                    guard case .records(let batch) = event else { continue }
                    for record in batch {
                        guard follows || left[record.topicPartition].map({ record.offset < $0 }) ?? false else {
                            continue
                        }
                        try show(record)
                        if let end = ends[record.topicPartition], record.offset.next >= end {
                            left[record.topicPartition] = nil
                        }
                    }
                }
            }
            await consumer.close()
        } catch {
            await consumer.close()
            throw error
        }
    }

    /// Where each partition is to be read from, and where it ends now.
    private func places(
        _ client: ClientConfiguration
    ) async throws -> (starts: [TopicPartition: Offset], ends: [TopicPartition: Offset]) {
        let admin = try Admin(client, patience: .seconds(10))
        do {
            var (starts, ends): ([TopicPartition: Offset], [TopicPartition: Offset]) = ([:], [:])
            for place in try await admin.places(of: topic) {
                guard let end = try await admin.offset(of: place, at: .latest) else { continue }
                ends[place] = end
                starts[place] = try await admin.offset(of: place, at: from) ?? end
            }
            await admin.close()
            return (starts, ends)
        } catch {
            await admin.close()
            throw error
        }
    }

    /// Written through, so that a reader of a pipe sees it now.
    private func show(_ record: Record) throws(SystemError) {
        let value = record.valueBytes
        guard asJSON else {
            let key = record.keyBytes.map { String(decoding: $0, as: UTF8.self) } ?? "-"
            let type = record.headers.last { $0.name == "ce_type" }?.text ?? "-"
            let at = Timestamp(milliseconds: record.timestamp ?? 0)
            return try Output.put(
                "\(record.partition)/\(record.offset)  \(at)  \(Harmless.line(key))  \(Harmless.line(type))  "
                    + (value.map { Harmless.line(String(decoding: $0, as: UTF8.self)) } ?? "(null)"))
        }
        var json = JSONWriter()
        json.object { json in
            record.writePlace(to: &json)
            json.name("value")
            if let value { json.append(String(decoding: value, as: UTF8.self)) } else { json.appendNull() }
        }
        try Output.put(json.text)
    }
}
