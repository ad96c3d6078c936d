internal import AdminPort
internal import Contracts
internal import DeadLetters
internal import Fleet
internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Redis
internal import WebAPI

/// Everything that the console asks: the broker, Redis, the databases.
///
/// Important: `close()` before the last reference goes.
final class Places: Sendable {
    let configuration: ConsoleConfiguration
    let catalog: TopicCatalog
    let admin: Admin
    let lags: LagProbe
    let redis: RedisClient?
    private let letterPool: PostgresPool?
    private let windowPool: PostgresPool?

    init(_ configuration: ConsoleConfiguration) throws {
        self.configuration = configuration
        catalog = Self.merged(configuration.catalogs, configuration.namespace)
        redis = try configuration.redis.map { try RedisClient($0) }
        do {
            letterPool = try configuration.deadLetters.map { try PostgresPool($0) }
        } catch {
            redis?.close()
            throw error
        }
        do {
            windowPool = try configuration.aggregate.map { try PostgresPool($0) }
            admin = try Admin(configuration.client, patience: .seconds(5))
            lags = LagProbe(configuration.client, admin)
        } catch {
            redis?.close()
            letterPool?.close()
            throw error
        }
    }

    func close() async {
        redis?.close()
        letterPool?.close()
        windowPool?.close()
        await lags.close()
        await admin.close()
    }

    /// How what it needs is asked. Without its databases some of its pages have nothing to show, and the others are needed
    /// most then.
    var probes: [Health.Probe] {
        var probes = [Health.Probe.kafka(admin)]
        if let redis { probes.append(.redis(redis)) }
        for (name, pool) in [("postgres.deadletters", letterPool), ("postgres.aggregate", windowPool)] {
            guard let pool else { continue }
            probes.append(Health.Probe(name, isNeeded: false) { await pool.trouble(within: .seconds(2)) })
        }
        return probes
    }

    var namespace: Namespace { configuration.namespace }
    var board: ControlBoard? { redis.map { ControlBoard($0, namespace) } }

    /// All that topic files say: ours, and those of workers that came along, whose consumers are added to ours.
    private static func merged(_ catalogs: [TopicCatalog], _ namespace: Namespace) -> TopicCatalog {
        var topics: [TopicName: Topic] = [:]
        for topic in catalogs.flatMap(\.topics) {
            let known = Set(topics[topic.name]?.consumers.map(\.handler) ?? [])
            let others = topic.consumers.filter { !known.contains($0.handler) }
            if topics[topic.name] == nil { topics[topic.name] = topic } else { topics[topic.name]?.consumers += others }
        }
        return TopicCatalog(topics: Array(topics.values), namespace: namespace)
    }

    func index() throws(Problem) -> DeadLetterIndex {
        guard let letterPool else {
            throw Problem(
                503, "the console was not told where the index is: set DEADLETTERS_DATABASE_URL or DATABASE_URL")
        }
        return DeadLetterIndex(letterPool)
    }

    func windows() throws(Problem) -> PostgresPool {
        guard let windowPool else {
            throw Problem(503, "the console was not told where windows are: set AGGREGATE_DATABASE_URL or DATABASE_URL")
        }
        return windowPool
    }

    /// Runs `body` with what reads records of dead letters.
    func withReader<Value>(_ body: (RecordReader) async throws -> Value) async throws -> Value {
        let reader = try RecordReader(configuration.client)
        do {
            let value = try await body(reader)
            await reader.close()
            return value
        } catch {
            await reader.close()
            throw error
        }
    }
}
