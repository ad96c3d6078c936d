internal import Commands
internal import Contracts
internal import DeadLetters
internal import Flotilla
internal import Glibc
internal import Kafka
internal import Model
internal import Platform
internal import Postgres

/// Where the settings say that dead letters are: the index, the topics, and what the topic files say of them.
struct DlqPlace: Sendable {
    let database: PostgresConfiguration?
    let client: ClientConfiguration?
    let namespace: Namespace
    /// Nil when the files cannot be read here.
    let catalog: TopicCatalog?

    /// `needs`: what the command cannot do without; what it can may be missing.
    init(needsIndex: Bool = false, needsBroker: Bool = false) throws {
        var settings = Settings.fromEnvironment()
        let isGiven = ["DEADLETTERS_DATABASE_URL", "DATABASE_URL"].contains {
            settings.all[$0] != nil || settings.all[$0 + "_FILE"] != nil
        }
        var place = needsIndex || isGiven ? WorkSettings.database(of: .deadLetters, &settings) : nil
        let isBroker = ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"].contains {
            settings.all[$0] != nil || settings.all[$0 + "_FILE"] != nil
        }
        client = needsBroker || isBroker ? ClientConfiguration.from(&settings) : nil
        let (folder, namespace) = TopicsPlace.files(&settings)
        try settings.check()
        guard place != nil || client != nil else {
            throw Refused("neither DATABASE_URL nor KAFKA_BROKERS is set: nobody knows where dead letters are")
        }
        place?.schema = namespace.schema(.deadLetters)
        place?.connections = 1
        place?.applicationName = "flotilla dlq"
        // A change of a million takes its time.
        place?.statementTimeout = .seconds(1800)
        database = place
        self.namespace = namespace
        catalog = try? TopicCatalog(folder: folder, namespace: namespace)
    }

    /// Who is asked for in the audit: the name that the system knows.
    static var user: String {
        unsafe getpwuid(geteuid()).map { unsafe String(cString: $0.pointee.pw_name) } ?? "uid \(geteuid())"
    }

    /// Runs `body` with the index.
    func withIndex<Value>(_ body: (DeadLetterIndex) async throws -> Value) async throws -> Value {
        guard let database else { throw Refused("DATABASE_URL is not set") }
        let pool = try PostgresPool(database)
        defer { pool.close() }
        do { return try await body(DeadLetterIndex(pool)) } catch let fault as PostgresFault {
            // Undefined table, undefined schema.
            guard fault.state == "42P01" || fault.state == "3F000" else { throw fault }
            throw Refused(
                "there is no index at \(database) yet: `\(Program.name) work deadletters` makes it (\(fault.reason))")
        }
    }

    /// Asks the index, or when there is none to be asked, and a broker is, what the topics have. Says which.
    func withIndexOrTopics<Value>(
        _ body: (DeadLetterIndex) async throws -> Value, orTopics other: (DeadLetterScan) async throws -> Value
    ) async throws -> Value {
        var why = "DATABASE_URL is not set"
        if database != nil {
            do { return try await withIndex(body) } catch let fault as PostgresFault
                where fault.isRetriable || fault.kind == .refused
            {
                why = "\(fault)"
            } catch let refused as Refused { why = "\(refused)" }
        }
        guard let client else { throw Refused("the index is away (\(why)), and KAFKA_BROKERS is not set") }
        Program.complain(
            "\(Program.name): the index is away (\(why)). This is read from the topics: states, notes and replays are not known"
        )
        return try await other(DeadLetterScan(client, namespace))
    }

    /// Runs `body` with what reads records.
    func withReader<Value>(_ body: (RecordReader) async throws -> Value) async throws -> Value {
        guard let client else { throw Refused("KAFKA_BROKERS is not set, and bodies are in the topics") }
        let reader = try RecordReader(client)
        do {
            let value = try await body(reader)
            await reader.close()
            return value
        } catch {
            await reader.close()
            throw error
        }
    }

    /// The topics of the broker.
    func topics() async throws -> Set<TopicName> {
        guard let client else { throw Refused("KAFKA_BROKERS is not set") }
        return try await Admin.use(client) { Set(try await $0.topics(nil).keys) }
    }
}
