import Flotilla
import Kafka
import Model
import Platform
import Postgres
import TestServers

@testable import DeadLetters

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

/// Dead letters of `orders` that `pricer` could not handle, as the index has them.
enum TestLetters {
    static let family = TopicFamily("orders", "pricer")

    static func letter(_ number: Int64, partition: Partition = 0, from source: Partition = 0) -> DeadLetters.DeadLetter
    {
        var letter = DeadLetter(rewinding: family, source, Offset(number))
        (letter.reason, letter.fingerprint, letter.partition) = ("permanent", "f", partition)
        (letter.at, letter.copiedAt) = (Timestamp(milliseconds: 1000 + number), Timestamp(milliseconds: 2000))
        return letter
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
            batch.add(ReplayOutcome(round: .init(id: letter.id, job: job, replays: replays), outcome: outcome))
        }
        return batch
    }
}

extension DeadLetterIndex {
    func run(_ statement: SQL) async throws { try await pool.transaction { $0.later(statement) } }

    /// One that has nobody to publish to.
    func runner(_ lease: WorkLease) -> ReplayRunner {
        let service = HandlerService(pool, log: Log(level: .error, format: .text), worker: "w")
        return ReplayRunner(
            DeadLetterFollower(self, ClientConfiguration(brokers: ["127.0.0.1:1"]), Namespace(), service), lease)
    }

    func states() async throws -> [DeadLetterState: Int] { try await counts().filter { $0.value > 0 } }
}
