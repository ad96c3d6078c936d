import Flotilla
import Kafka
import LocalBroker
import Model
import Platform
import Postgres
import TestServers
import TestSupport

@testable import DeadLetters

/// A broker that is not there.
let nobody = ClientConfiguration(brokers: ["127.0.0.1:1"])

/// An empty index in a database of its own.
func withIndex(_ body: (DeadLetterIndex) async throws -> Void) async throws {
    var place = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
    place.schema = "deadletters"
    let pool = try PostgresPool(place)
    defer { pool.close() }
    let index = DeadLetterIndex(pool)
    try await index.prepare()
    try await body(index)
}

/// A broker of its own.
func withBroker(_ body: (ClientConfiguration) async throws -> Void) async throws {
    let folder = TemporaryFolder()
    var configuration = BrokerConfiguration(dataFolder: folder.path)
    if let anywhere = Endpoint("127.0.0.1:0") { configuration.listen = anywhere }
    configuration.durability = .never
    let broker = try Broker.start(configuration, log: Log(level: .error, format: .text))
    defer { try? broker.stop() }
    try await body(ClientConfiguration(brokers: ["127.0.0.1:\(broker.endpoint.port)"]))
}

/// What people and their tools do to topics.
func withAdmin<Value>(_ client: ClientConfiguration, _ body: (Admin) async throws -> Value) async throws -> Value {
    try await Admin.use(client, patience: .seconds(30), body)
}

/// Publishes, and waits for the log.
func publish(_ records: [OutgoingRecord], _ client: ClientConfiguration) async throws {
    let producer = try Producer(ProducerConfiguration(client))
    let report = try await producer.send(OutgoingBatch(records))
    await producer.close()
    for case .failure(let fault) in report { throw fault }
}

/// Dead letters of `orders` that `pricer` could not handle, as the index has them.
enum TestLetters {
    static let family = TopicFamily("orders", "pricer")

    static func letter(
        _ number: Int64, partition: Partition = 0, from source: Partition = 0, of family: TopicFamily = family
    ) -> DeadLetters.DeadLetter {
        var letter = DeadLetter(rewinding: family, source, Offset(number))
        (letter.reason, letter.fingerprint, letter.partition) = ("permanent", "f", partition)
        (letter.at, letter.copiedAt) = (Timestamp(milliseconds: 1000 + number), Timestamp(milliseconds: 2000))
        return letter
    }

    /// As it lies in its topic.
    static func record(_ letter: DeadLetters.DeadLetter, in topic: TopicName = "orders.pricer.dlq") -> OutgoingRecord {
        OutgoingRecord(
            topic: topic, partition: letter.partition, value: Array("{}".utf8),
            headers: [
                Header(HeaderName.sourceTopic, letter.source.topic.rawValue),
                Header(HeaderName.sourcePartition, "\(letter.source.partition)"),
                Header(HeaderName.sourceOffset, "\(letter.source.offset)"), Header(HeaderName.dlqReason, "permanent"),
            ])
    }

    /// The next batch of the dead letters' topic, and of what is told of replays.
    static func batch(
        _ letters: [DeadLetters.DeadLetter] = [], from: Int64? = nil,
        told: [(DeadLetters.DeadLetter, String, Int64, String)] = []
    ) -> IndexBatch {
        var batch = IndexBatch()
        let place = TopicPartition("orders.pricer.dlq", 0)
        batch.positions[place] = (from.map { Offset($0) }, Offset((from ?? 0) + 1))
        for letter in letters { batch.add(letter) }
        for (letter, job, replays, outcome) in told {
            batch.add(
                ReplayOutcome(
                    round: .init(id: letter.id, job: job, replays: replays), outcome: outcome,
                    at: Timestamp(milliseconds: Time.wallMilliseconds)))
        }
        return batch
    }
}

extension DeadLetterIndex {
    func run(_ statement: SQL) async throws { try await pool.transaction { $0.later(statement) } }

    /// One that has nobody to publish to.
    func runner(_ lease: WorkLease) -> ReplayRunner { ReplayRunner(follower(nobody), lease) }

    func follower(
        _ client: ClientConfiguration, log: Log = Log(level: .error, format: .text),
        standsStill: @escaping @Sendable () -> Bool = { false }
    ) -> DeadLetterFollower {
        let service = HandlerService(pool, log: log, worker: "w", standsStill: standsStill)
        return DeadLetterFollower(self, client, Namespace(), service)
    }

    func states() async throws -> [DeadLetterState: Int] { try await counts().filter { $0.value > 0 } }
}
