internal import Aggregate
internal import Commands
internal import Contracts
internal import Flotilla
internal import Ingest
internal import Model
internal import Notify
internal import Platform
internal import Postgres
internal import Process

/// The handlers that come with Flotilla, made of what the topic files say.
enum FleetHandlers {
    static let names: [HandlerName] = ["ingest", "process", "aggregate", "notify"]

    /// Those of them that keep something in Postgres.
    static let stateful: Set<HandlerName> = ["process", "aggregate", "notify"]

    /// Throws what keeps one of them from being made.
    static func check(_ settings: Settings) throws {
        var settings = settings
        let (folder, namespace) = TopicsPlace.files(&settings)
        let catalog = try TopicCatalog(folder: folder, namespace: namespace)
        for name in names { _ = try make(name, catalog) }
    }

    @Sendable static func make(_ name: HandlerName, _ catalog: TopicCatalog) throws -> AnyHandler? {
        switch name {
        case "ingest":
            .events(
                Ingest(raw: try schema(of: "events.raw", catalog), accepted: try schema(of: "events.accepted", catalog))
            )
        case "process":
            .stateful(try Process(settings: catalog["events.accepted"]?.settings(of: name) ?? [:]))
        case "aggregate":
            .stateful(try Aggregate(settings: catalog["metrics.points"]?.settings(of: name) ?? [:]))
        case "notify": .stateful(try notify(catalog))
        case _: nil
        }
    }

    /// What is wrong with the rules of notifications, for whoever checks the files beside them.
    @Sendable static func faults(in folder: String, _ catalog: TopicCatalog) -> [TopicFault] {
        do throws(TopicFaults) {
            _ = try RulesReader.read(folder: folder, catalog: catalog)
            return []
        } catch { return error.faults }
    }

    /// The same as `work notify` looks at it, with the settings: what is wrong, and what to do.
    @Sendable static func findings(in folder: String, _ catalog: TopicCatalog) async -> [Finding] {
        rules(in: folder, catalog) + (await endpoints(catalog.namespace))
    }

    private static func rules(in folder: String, _ catalog: TopicCatalog) -> [Finding] {
        var settings = Settings.fromEnvironment()
        var asked = settings
        do throws(TopicFaults) {
            let rules = try RulesReader.read(folder: folder, catalog: catalog) { asked.text($0) }
            _ = NotifySecrets(&settings, for: rules)
            guard settings.faults.isEmpty else {
                return [
                    Finding(
                        subject: "rules", state: .warning,
                        detail: settings.faults.map(\.description).joined(separator: "\n"),
                        advice: "set them for \(Program.name) work notify, which does not start without")
                ]
            }
            return [Finding(subject: "rules", state: .ok, detail: rules.summary)]
        } catch {
            return [
                Finding(
                    subject: "rules", state: .failed, detail: "\(error)",
                    advice: "mend them: \(Program.name) work notify does not start with them")
            ]
        }
    }

    /// How those fare who are to be notified. Of a database that does not answer the doctor tells anyhow.
    private static func endpoints(_ namespace: Namespace) async -> [Finding] {
        var settings = Settings.fromEnvironment()
        guard var place = WorkSettings.database(of: "notify", &settings) else { return [] }
        place.schema = namespace.schema("notify")
        (place.connections, place.connectTimeout, place.statementTimeout) = (1, .seconds(5), .seconds(5))
        guard let pool = try? PostgresPool(place) else { return [] }
        defer { pool.close() }
        guard let lines = try? await EndpointDesk(pool).list() else { return [] }
        return lines.map { line in
            let subject = "endpoint \(line.channel)"
            let waiting = "\(Words.count(line.waiting, "notification")) waiting"
            if let since = line.disabledAt {
                return Finding(
                    subject: subject, state: .failed, detail: "said that it is gone (410), at \(since); \(waiting)",
                    advice: "give it another address in the rules, or: \(Program.name) endpoints enable \(line.channel)"
                )
            }
            guard line.failures > 0 else { return Finding(subject: subject, state: .ok, detail: "answers; \(waiting)") }
            return Finding(
                subject: subject, state: .warning,
                detail: "failed \(Words.count(line.failures, "time")) in a row; \(waiting)",
                advice: "ask it yourself, as with curl; it is tried again by itself, less and less often")
        }
    }

    private static func notify(_ catalog: TopicCatalog) throws -> Notify {
        var settings = Settings.fromEnvironment()
        let folder = TopicsPlace.files(&settings).folder
        var asked = settings
        let rules = try RulesReader.read(folder: folder, catalog: catalog) { asked.text($0) }
        let secrets = NotifySecrets(&settings, for: rules)
        try settings.check()
        return Notify(rules, secrets, namespace: catalog.namespace)
    }

    private static func schema(of topic: TopicName, _ catalog: TopicCatalog) throws -> Schema {
        guard let schema = catalog[topic]?.schema else {
            throw Missing(
                description: "\(topic) needs a topic file with a schema: the one that comes with Flotilla has it")
        }
        return schema
    }

    fileprivate struct Missing: Error, CustomStringConvertible {
        let description: String
    }
}

extension Topic {
    fileprivate func settings(of handler: HandlerName) -> [String: String] {
        consumers.first { $0.handler == handler }?.settings ?? [:]
    }
}
