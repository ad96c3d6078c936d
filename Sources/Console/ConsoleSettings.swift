package import Contracts
internal import Flotilla
package import HTTP
package import Kafka
package import Model
package import Platform
package import Postgres
package import Redis
internal import WebAPI

/// What a console is told.
package struct ConsoleConfiguration: Sendable {
    package let client: ClientConfiguration
    package let namespace: Namespace
    package let topicsFolder: String
    package let redis: RedisConfiguration?
    /// Where the index of dead letters is, and what aggregate keeps.
    package let deadLetters: PostgresConfiguration?
    package let aggregate: PostgresConfiguration?
    package let tokens: ConsoleTokens?
    /// Names by which others come here, beside those of this machine and the address it listens on.
    package var hosts: Set<String>
    /// How old an answer of /api/metrics may be. Default 2 s; zero asks the database each time.
    package let cache: Duration
    /// Those of the topic files, and those of workers that came along.
    package var catalogs: [TopicCatalog] = []
    package var http = HTTPConfiguration()
    /// Who everybody is, where no tokens are set.
    package var operatorName = "somebody"
    /// Whether the workers run on this machine.
    package var isBesideWorkers = false
    package var version = "0"

    /// Reads them, or throws all that is wrong.
    package init(_ settings: Settings) throws(SettingFaults) {
        var settings = settings
        let client = ClientConfiguration.from(&settings)
        (topicsFolder, namespace) = TopicCatalog.place(&settings)
        redis = Self.redis(&settings)
        deadLetters = Self.database(of: .deadLetters, namespace, &settings)
        aggregate = Self.database(of: "aggregate", namespace, &settings)
        tokens = Self.tokens(&settings)
        hosts = Set((settings.list("FLOTILLA_CONSOLE_HOSTS") ?? []).map { $0.lowercased() })
        for host in hosts.sorted() where Gate.hostName(host) != host {
            settings.refuse("FLOTILLA_CONSOLE_HOSTS", "has \(host.debugDescription): expected names without a port")
        }
        cache = settings.duration("FLOTILLA_CONSOLE_CACHE") ?? .seconds(2)
        if cache > .seconds(3600) { settings.refuse("FLOTILLA_CONSOLE_CACHE", "is more than an hour") }
        try settings.check()
        // Without a client there was a fault.
        guard let client else {
            throw SettingFaults(faults: [SettingFault(name: "KAFKA_BROKERS", problem: "is not set")])
        }
        self.client = client
        http.answerTimeout = .seconds(60)
        http.maxConnections = 1000
        http.maxHeldBytes = 16 << 20
        http.answerHeaders = Page.securityHeaders
    }

    private static func tokens(_ settings: inout Settings) -> ConsoleTokens? {
        guard let text = settings.text("FLOTILLA_CONSOLE_TOKENS") else { return nil }
        do throws(ConsoleTokens.Fault) { return try ConsoleTokens(text) } catch {
            settings.refuse("FLOTILLA_CONSOLE_TOKENS", ": \(error)")
            return nil
        }
    }

    private static func redis(_ settings: inout Settings) -> RedisConfiguration? {
        guard let url = settings.text("REDIS_URL") else { return nil }
        do throws(RedisFault) { return try RedisConfiguration(url: url) } catch {
            settings.refuse("REDIS_URL", ": \(error.reason)")
            return nil
        }
    }

    /// Nil when nobody says where: then the console is without what is kept there.
    private static func database(
        of handler: HandlerName, _ namespace: Namespace, _ settings: inout Settings
    ) -> PostgresConfiguration? {
        let names = ["\(handler)".uppercased() + "_DATABASE_URL", "DATABASE_URL"]
        guard names.contains(where: { settings.all[$0] != nil || settings.all[$0 + "_FILE"] != nil }) else {
            return nil
        }
        var place = WorkSettings.database(of: handler, &settings)
        place?.schema = namespace.schema(handler)
        place?.connections = 3
        place?.applicationName = "flotilla console"
        // Less than the patience of whoever asks.
        place?.statementTimeout = .seconds(50)
        return place
    }

    /// Settles who may come, by where it listens. Throws when everybody could.
    package mutating func settleAccess() throws(HTTPFault) {
        let host = http.host.lowercased()
        let isLoopback = Credentials.isLoopback(host)
        guard tokens != nil || isLoopback else {
            throw HTTPFault(
                "a console that asks nobody who they are listens on this machine alone, not on \(http.host): set "
                    + "FLOTILLA_CONSOLE_TOKENS (`flotilla console token NAME` makes one)")
        }
        let isAnywhere = ["0.0.0.0", "::", ""].contains(host)
        guard !isAnywhere || !hosts.isEmpty else {
            throw HTTPFault(
                "set FLOTILLA_CONSOLE_HOSTS to the names by which browsers come to \(http.host): others are refused, so that "
                    + "no page of a stranger gets in under a name of its own")
        }
        if !isAnywhere { hosts.insert(host) }
        hosts.formUnion(["localhost", "127.0.0.1", "::1"])
    }
}
