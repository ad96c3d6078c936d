internal import Commands
internal import Contracts
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres

extension Command {
    /// `trace`: where one event went.
    static let trace = Command(
        name: "trace", summary: "follow one event through topics, retries, dead letters and state",
        details: """
            Reads every topic that has a topic file, with its retry, dead-letter and replay topics, and looks for the event,
            its copies, and what handlers made of it: an output's id follows from the event's, the handler and its number.
            With DATABASE_URL (or a handler's own) it says what the state has of it. It commits nothing, and shows no values.
            An id of version 7 says when it was made, and reading begins five minutes before; for others --since does.
            """,
        operands: [Operand(name: "EVENT_ID", help: "its ce_id")],
        options: [
            Option(name: "source", value: "S", help: "of this ce_source alone; senders may use the same id"),
            Option(name: "since", value: "T", help: "read records from here on: RFC 3339, or how long ago; else 1d"),
            Option(name: "until", value: "T", help: "up to here; else to the end"),
            Option(name: "json", help: "print JSON"),
        ],
        run: { arguments in
            let id = arguments.operands[0]
            guard (1...1024).contains(id.utf8.count) else { throw arguments.fault("EVENT_ID has 1 to 1024 bytes") }
            let now = Time.wallMilliseconds
            func time(_ name: String) throws -> Int64? {
                guard let text = arguments[name] else { return nil }
                if let time = Timestamp(text: text) { return time.milliseconds }
                guard let ago = Duration(text: text) else {
                    throw arguments.fault("--\(name) is RFC 3339, or how long ago, as 90m or 7d")
                }
                return now - ago.milliseconds
            }
            let (since, until) = (try time("since"), try time("until"))
            let made = UUIDValue(text: id)?.milliseconds
            let scan = TraceScan(since: since ?? made.map { $0 - 300_000 } ?? now - 86_400_000, until: until)
            guard until.map({ scan.since < $0 }) ?? true else { throw arguments.fault("--until is not after --since") }

            var settings = Settings.fromEnvironment()
            let client = ClientConfiguration.from(&settings)
            let (folder, namespace) = TopicsPlace.files(&settings)
            let catalog = try TopicCatalog(folder: folder, namespace: namespace)
            let databases = databases(catalog, &settings)
            try settings.check()
            guard let client else { throw SettingFault(name: "KAFKA_BROKERS", problem: "is not set") }
            let (source, isJSON) = (arguments["source"], arguments.has("json"))
            return try finish {
                let follower = TraceFollower(id: id, source: source)
                var result = try await scan.run(TraceRoute(catalog), follower, client, TraceProgress())
                var state = TraceState()
                if !result.found.isEmpty, !databases.isEmpty {
                    state = await TraceState.look(databases, &result.found)
                }
                let report = TraceReport(
                    id: id, scan: scan, result: result, state: state, catalog: catalog, hasDatabase: !databases.isEmpty,
                    folder: folder)
                print(isJSON ? report.json : report.text)
                return result.found.isEmpty ? .failed : .ok
            }
        })

    /// A database for each handler that has one by the settings; whether it keeps state shows there.
    private static func databases(
        _ catalog: TopicCatalog, _ settings: inout Settings
    ) -> [(name: HandlerName, place: PostgresConfiguration)] {
        let common = settings.text("DATABASE_URL")
        var found: [(name: HandlerName, place: PostgresConfiguration)] = []
        for handler in catalog.handlers {
            let own = "\(handler)".uppercased().replacing("-", with: "_") + "_DATABASE_URL"
            guard let url = settings.text(own) ?? common else { continue }
            do throws(PostgresFault) {
                var place = try PostgresConfiguration(url: url)
                place.schema = catalog.namespace.schema(handler)
                place.connections = 1
                found.append((handler, place))
            } catch { settings.refuse(settings.text(own) == nil ? "DATABASE_URL" : own, ": \(error.reason)") }
        }
        return found
    }
}
