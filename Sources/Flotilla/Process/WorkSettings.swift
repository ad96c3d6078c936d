internal import Kafka
package import Model
package import Platform
package import Postgres
internal import Redis
internal import Tracing

/// What a worker process is told by its environment.
package struct WorkSettings: Sendable {
    let client: ClientConfiguration
    package let redisURL: String?
    /// Where handlers with state keep it: their own, or the one for all.
    let databases: [HandlerName: PostgresConfiguration]
    package let topicsFolder: String
    package let namespace: Namespace
    package let log: Log
    /// Nil where nobody is to be told of traces.
    let traces: Tracing.Plan?

    /// Reads them, or throws all that is wrong. `remembering`: the handlers that cannot work without a Redis.
    package init(
        _ settings: Settings, handlers: [AnyHandler] = [], remembering: [HandlerName] = []
    ) throws(SettingFaults) {
        var settings = settings
        log = Log.from(&settings)
        traces = Tracing.plan(
            &settings, service: handlers.count == 1 ? "flotilla-\(handlers[0].name)" : "flotilla-worker")
        databases = Self.databases(handlers, &settings)
        let client = ClientConfiguration.from(&settings)
        redisURL = settings.text("REDIS_URL")
        if let redisURL {
            do throws(RedisFault) {
                _ = try RedisConfiguration(url: redisURL)
            } catch { settings.refuse("REDIS_URL", ": \(error.reason)") }
        } else if !remembering.isEmpty {
            let names = remembering.map(\.rawValue).joined(separator: ", ")
            settings.refuse(
                "REDIS_URL",
                "is not set, and \(names) remembers what was done: set it, or `once: false` in the topic files")
        }
        (topicsFolder, namespace) = TopicsPlace.files(&settings)
        try settings.check()
        // Without a client there was a fault.
        guard let client else {
            throw SettingFaults(faults: [SettingFault(name: "KAFKA_BROKERS", problem: "is not set")])
        }
        self.client = client
    }

    /// A database for each handler with state: `ORDER_TOTALS_DATABASE_URL` for `order-totals`, else `DATABASE_URL`.
    static func databases(
        _ handlers: [AnyHandler], _ settings: inout Settings
    ) -> [HandlerName: PostgresConfiguration] {
        var found: [HandlerName: PostgresConfiguration] = [:]
        for case .stateful(let handler) in handlers { found[handler.name] = database(of: handler.name, &settings) }
        return found
    }

    /// The setting that names a handler's own database.
    static func databaseName(of handler: HandlerName) -> String {
        "\(handler)".uppercased().replacing("-", with: "_") + "_DATABASE_URL"
    }

    /// Where a handler keeps what it keeps; nil when that is not said, and then it was noted.
    package static func database(of handler: HandlerName, _ settings: inout Settings) -> PostgresConfiguration? {
        let own = databaseName(of: handler)
        let (text, common) = (settings.text(own), settings.text("DATABASE_URL"))
        let name = text == nil ? "DATABASE_URL" : own
        guard let url = text ?? common else {
            settings.refuse(name, "is not set, and \(handler) keeps state: postgresql://USER@HOST/DATABASE")
            return nil
        }
        do throws(PostgresFault) {
            return try PostgresConfiguration(url: url)
        } catch {
            settings.refuse(name, ": \(error.reason)")
            return nil
        }
    }
}
