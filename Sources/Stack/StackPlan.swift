internal import Contracts
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Redis

/// What a stack consists of: which servers are its own, where everything is, and how each process is started.
///
/// What the settings name is used as it is; the rest is made.
struct StackPlan: Sendable {
    let options: StackOptions
    /// Where what the stack makes can be reached, by the names of the settings; what somebody set is not among it, and may
    /// be secret.
    let places: [String: String]
    let catalogs: [TopicCatalog]
    /// The settings that name servers, which are then none of the stack's.
    let named: [String]
    let scale: [String: Int]
    let redis: PrivateRedis?
    let database: PrivatePostgres?
    let ports: StackPorts
    private let namespace: Namespace
    private let schemas: [(role: String, schema: String)]
    private let folder: StackFolder
    private let brokerIsOurs: Bool
    let version: String

    init(_ options: StackOptions, _ folder: StackFolder) throws {
        self.options = options
        self.folder = folder
        version = options.version
        var settings = options.settings
        let (topics, namespace) = TopicCatalog.place(&settings)
        try settings.check()
        self.namespace = namespace
        catalogs = try Self.catalogs(topics, options, namespace)
        func isSet(_ name: String) -> Bool { settings.all[name] != nil || settings.all[name + "_FILE"] != nil }
        named = (Self.servers + options.handlers.map(Self.setting)).filter(isSet)
        brokerIsOurs = !isSet("KAFKA_BROKERS") && !isSet("KAFKA_BOOTSTRAP_SERVERS")
        ports = try StackPorts(options, hasBroker: brokerIsOurs)
        redis = isSet("REDIS_URL") ? nil : try PrivateRedis(folder: folder.redis, fsync: options.fsync)
        let own = options.handlers.filter { options.stateful.contains($0) && !isSet(Self.setting(of: $0)) }
        let isNeeded = !isSet("DATABASE_URL") && (!own.isEmpty || !options.guests.isEmpty)
        database = isNeeded ? try PrivatePostgres(folder: folder) : nil
        schemas = own.map { ("flotilla_\($0)", namespace.schema($0)) }
        var places = ["FLOTILLA_TOPICS": Files.resolved(topics) ?? topics]
        if brokerIsOurs { places["KAFKA_BROKERS"] = "127.0.0.1:\(ports.broker)" }
        if let redis { places["REDIS_URL"] = redis.url }
        if let database { places["DATABASE_URL"] = database.url(PrivatePostgres.superuser) }
        if let name = settings.all["FLOTILLA_NAMESPACE"] { places["FLOTILLA_NAMESPACE"] = name }
        places["FLOTILLA_EDGE_URL"] = "\(settings.all["FLOTILLA_TLS_CERT"] == nil ? "http" : "https")://\(ports.edge)"
        self.places = places
        scale = try Self.scale(options, catalogs)
    }

    private static let servers = ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "DATABASE_URL"]

    /// Where a handler's own database is set: `PROCESS_DATABASE_URL`.
    private static func setting(of handler: HandlerName) -> String {
        "\(handler)".uppercased().replacing("-", with: "_") + "_DATABASE_URL"
    }

    private static func catalogs(
        _ topics: String, _ options: StackOptions, _ namespace: Namespace
    ) throws -> [TopicCatalog] {
        let ours = try TopicCatalog(folder: topics, namespace: namespace)
        // What reads dead letters is in no topic file: it finds theirs by itself.
        for handler in options.handlers where handler != .deadLetters && !ours.handlers.contains(handler) {
            throw StackFault(
                "no topic file in \(topics) has the consumer \(handler): FLOTILLA_TOPICS names the folder of those that come "
                    + "with Flotilla")
        }
        return [ours] + (try options.guests.map { try TopicCatalog(folder: $0.topics, namespace: namespace) })
    }

    // MARK: Scale

    private static func scale(_ options: StackOptions, _ catalogs: [TopicCatalog]) throws(StackFault) -> [String: Int] {
        let all = options.handlers + options.guests.flatMap(\.handlers)
        let scale = Dictionary(all.map { ($0.rawValue, 1) }) { first, _ in first }
        let wanted = try ScaleTarget.handlers(of: options.scale, among: Set(all), catalogs)
        return scale.merging(wanted) { $1 }
    }

    /// Handlers for handlers and topics.
    func handlers(of targets: [String: Int]) throws(StackFault) -> [String: Int] {
        try ScaleTarget.handlers(of: targets, among: Set(scale.keys.map { HandlerName($0) }), catalogs)
    }

    // MARK: Parts

    /// What needs nothing else; the longest first.
    var first: [Part] {
        (postgresSetup.map { [$0] } ?? []) + (brokerIsOurs ? [broker] : [])
            + (redis.map { [$0.part(plain("redis"))] } ?? [])
    }

    private var broker: Part {
        let words = [
            "broker", "--data", folder.broker, "--listen", "127.0.0.1:\(ports.broker)", "--fsync", options.fsync,
        ]
        return Part("broker", .broker) { [self] in
            (Launch(options.program, words, environment: environment("broker")), nil)
        }
    }

    var edge: Part {
        Part("edge", .edge) { [self] in
            let admin = try Ports.free()
            let words = ["edge", "--http", ports.edge, "--admin", "\(admin)"]
            return (Launch(options.program, words, environment: environment("edge")), admin)
        }
    }

    var console: Part {
        Part("console", .console) { [self] in
            let admin = try Ports.free()
            var variables = environment("console")
            if let database {
                for (role, _) in schemas where role == "flotilla_aggregate" || role == "flotilla_deadletters" {
                    variables[Self.setting(of: HandlerName(String(role.dropFirst(9))))] = database.url(role)
                }
            }
            let words = ["console", "--http", ports.console, "--admin", "\(admin)", "--data", folder.path]
            return (Launch(options.program, words, environment: variables), admin)
        }
    }

    func worker(_ handler: String, _ number: Int) -> Part {
        let guest = options.guests.first { $0.handlers.contains(HandlerName(handler)) }
        let name = "\(handler)-\(number)"
        var part = Part(name, .worker, handler: handler) { [self] in
            let admin = try Ports.free()
            var variables = environment(name)
            if let guest { variables["FLOTILLA_TOPICS"] = guest.topics }
            if let database {
                let setting = Self.setting(of: HandlerName(handler))
                if schemas.contains(where: { $0.role == "flotilla_\(handler)" }) {
                    variables[setting] = database.url("flotilla_\(handler)")
                } else if guest != nil, variables[setting] == nil {
                    variables["DATABASE_URL"] = database.url(PrivatePostgres.others)
                }
            }
            let words = ["work", handler, "--admin", "\(admin)"]
            return (Launch(guest?.program ?? options.program, words, environment: variables), admin)
        }
        part.grace = 45_000
        return part
    }

    var demo: Part {
        Part("demo", .demo) { [self] in
            var variables = environment("demo")
            variables["FLOTILLA_EDGE_URL"] = places["FLOTILLA_EDGE_URL"]
            return (Launch(options.program, ["demo"], environment: variables), nil)
        }
    }

    /// What a process of ours is told.
    private func environment(_ part: String) -> [String: String] {
        var variables = options.settings.all
        for name in ["KAFKA_BROKERS", "REDIS_URL", "FLOTILLA_TOPICS", "FLOTILLA_NAMESPACE"] {
            if let place = places[name] { variables[name] = place }
        }
        if database != nil { variables = variables.filter { !$0.key.hasPrefix("PG") } }
        variables["FLOTILLA_DETACHED"] = nil
        // It is told all it needs, and does not look for a stack.
        variables["FLOTILLA_STACK_PART"] = part
        if variables["LOG_FORMAT"] == nil { variables["LOG_FORMAT"] = "text" }
        return variables
    }

    private func plain(_ part: String) -> [String: String] { Programs.plain(options.settings.all) }

    // MARK: Postgres

    var postgres: Part? { database.map { $0.server(plain("postgres")) } }

    var postgresSetup: Part? { database.flatMap { $0.isMade ? nil : $0.setup(plain("postgres")) } }

    /// Takes away what was begun before.
    func clearPostgres() throws { if let database, !database.isMade { try database.clear() } }

    func allowPostgres() throws {
        guard let database else { return }
        if !database.isMade { try database.settle() }
        try database.writeAccess(schemas.map(\.role))
    }

    var isPostgresThere: Bool {
        guard let database, let place = try? PostgresConfiguration(url: database.url(PrivatePostgres.superuser)) else {
            return false
        }
        return
            (try? blocking {
                let pool = try PostgresPool(place)
                defer { pool.close() }
                return await pool.trouble(within: .seconds(2)) == nil
            }) ?? false
    }

    func preparePostgres() async throws { try await database?.prepare(schemas) }

    // MARK: Broker and Redis

    var isBrokerThere: Bool { !brokerIsOurs || Ports.listens(ports.broker) }

    var isRedisThere: Bool {
        guard let redis, let place = try? RedisConfiguration(url: redis.url) else { return true }
        return
            (try? blocking {
                let client = try RedisClient(place)
                defer { client.close() }
                return (try? await client.execute(RedisCommand("PING"))) != nil
            }) ?? false
    }

    /// Makes the broker's topics what files say. Returns how many changes that took, and what was not done because records
    /// would go.
    func apply(_ catalog: TopicCatalog) async throws -> (changes: Int, losses: [TopicPlan.Notice]) {
        var settings = options.settings
        if let place = places["KAFKA_BROKERS"] {
            settings = Settings(settings.all.merging(["KAFKA_BROKERS": place]) { $1 })
        }
        let client = ClientConfiguration.from(&settings)
        try settings.check()
        guard let client else { throw StackFault("KAFKA_BROKERS is not set") }
        return try await Admin.use(client, patience: .seconds(30)) { admin in
            let plan = try await catalog.plan(with: admin)
            let ours = Set(catalogs[0].wanted.map(\.name))
            let foreign = plan.changes.filter { change in
                guard case .create = change else { return ours.contains(change.topic) }
                return false
            }
            // The first catalog is Flotilla's own.
            guard catalog.topics.map(\.name) == catalogs[0].topics.map(\.name) || foreign.isEmpty else {
                throw StackFault(
                    "the topic files of a worker of yours say something else of \(foreign[0].topic) than those of Flotilla: "
                        + "leave it out there, or say the same")
            }
            try await plan.apply(with: admin)
            return (plan.changes.count { !$0.losesRecords }, plan.losses)
        }
    }
}

/// Where the stack listens.
struct StackPorts: Sendable {
    let broker: UInt16
    let edgeHost: String
    let edgePort: UInt16
    let consoleHost: String
    let consolePort: UInt16

    var edge: String { Self.place(edgeHost, edgePort) }
    var console: String { Self.place(consoleHost, consolePort) }

    private static func place(_ host: String, _ port: UInt16) -> String {
        "\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    /// Sees that the ports are free, before anything is started. 0 is any.
    init(_ options: StackOptions, hasBroker: Bool) throws {
        edgeHost = options.http.host
        edgePort = try Self.settle("--http", options.http.host, options.http.port)
        consoleHost = options.console.host
        consolePort = try Self.settle("--console", options.console.host, options.console.port)
        _ = options.admin.port == 0 ? 0 : try Self.settle("--admin", options.admin.host, options.admin.port)
        broker = hasBroker ? try Self.settle("--broker", "127.0.0.1", options.broker) : 0
    }

    private static func settle(_ option: String, _ host: String, _ port: UInt16) throws -> UInt16 {
        if port == 0 { return try Ports.free() }
        do throws(SystemError) {
            try Ports.check(host, port)
            return port
        } catch {
            throw StackFault(
                "port \(port) cannot be had (\(error)): end who listens there (ss -ltnp shows it), or choose another with "
                    + "\(option) PORT, 0 for any")
        }
    }
}
