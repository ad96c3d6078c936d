internal import Kafka
package import Model
package import Postgres

/// What a handler's partitions keep in Postgres beside the handler's own tables: how far each was applied, and what is
/// still to be published. `StateTables` tells why.
package struct StateStore: Sendable {
    private let pool: PostgresPool
    private let worker: String

    package init(_ pool: PostgresPool, worker: String) {
        self.pool = pool
        self.worker = worker
    }

    /// Makes the tables, the runtime's and the handler's.
    package func prepare(_ migrations: [Migration]) async throws {
        try await pool.migrate(Migration.flotilla, group: "flotilla")
        try await pool.migrate(migrations, group: "handler")
    }

    package func close() { pool.close() }

    /// Asks whether the database is there: what is wrong, or nil.
    package func trouble(within limit: Duration) async -> String? { await pool.trouble(within: limit) }

    /// Outputs of one transaction that may not be published yet.
    package struct Pending: Sendable {
        package let sequence: Int64
        package let batch: OutgoingBatch
        /// For how long it has been in the outbox, in milliseconds.
        package let age: Int64
    }

    /// Takes a partition over: from here on nobody else's transactions pass.
    package func take(_ place: TopicPartition) async throws -> (PartitionBook, pending: [Pending]) {
        try await pool.transaction { transaction in
            let row = try await transaction.query(
                """
                INSERT INTO flotilla_positions AS old (topic, partition, worker)
                VALUES (\(place.topic.rawValue), \(place.partition.rawValue), \(worker))
                ON CONFLICT (topic, partition) DO UPDATE
                    SET generation = old.generation + 1, worker = excluded.worker, changed_at = now()
                RETURNING next_offset, generation
                """)[0]
            let rows = try await transaction.query(
                """
                SELECT seq, records, greatest(0, extract(epoch FROM clock_timestamp() - made_at) * 1000)::bigint AS age
                FROM flotilla_outbox
                WHERE topic = \(place.topic.rawValue) AND partition = \(place.partition.rawValue) ORDER BY seq
                """)
            let pending = try rows.map { row in
                guard let batch = OutgoingBatch(stored: try row.value("records")) else {
                    throw PostgresFault(
                        .data, "the outbox has records of a later version: this build is older than what wrote them")
                }
                return Pending(sequence: try row.value("seq"), batch: batch, age: try row.value("age"))
            }
            let book = PartitionBook(
                place: place, generation: try row.value("generation"), next: try row.value("next_offset"))
            return (book, pending)
        }
    }

    /// A transaction that fails if the partition was taken over meanwhile.
    package func begin(_ book: PartitionBook) async throws(PostgresFault) -> PostgresTransaction {
        let transaction = try await pool.begin()
        let place = book.place
        transaction.later(
            """
            SELECT flotilla_hold(\(place.topic.rawValue), \(place.partition.rawValue), \(book.generation), \(book.next))
            """)
        return transaction
    }

    /// Notes that a replayed record is applied; false when it was before.
    func noteReplayed(_ source: SourceCoordinates, _ transaction: PostgresTransaction) async throws(PostgresFault)
        -> Bool
    {
        try await transaction.execute(
            """
            INSERT INTO flotilla_replayed (topic, partition, src_offset)
            VALUES (\(source.topic.rawValue), \(source.partition.rawValue), \(source.offset.rawValue))
            ON CONFLICT DO NOTHING
            """) == 1
    }

    /// Commits a transaction with how far the partition is applied by it, its outputs, and what was published since the
    /// last one. The number that the outputs have in the outbox, nil when there are none.
    package func commit(
        _ transaction: PostgresTransaction, _ book: PartitionBook, next: Int64, outputs: OutgoingBatch,
        published: Int64?
    ) async throws(PostgresFault) -> Int64? {
        let place = book.place
        if next != book.next {
            transaction.later(
                """
                UPDATE flotilla_positions SET next_offset = \(next), changed_at = now()
                WHERE topic = \(place.topic.rawValue) AND partition = \(place.partition.rawValue)
                """)
        }
        forget(through: published, place, transaction)
        var sequence: Int64?
        let pieces = outputs.stored(pieces: Self.pieceBytes)
        for (number, piece) in pieces.enumerated() {
            let insert: SQL = """
                INSERT INTO flotilla_outbox (topic, partition, records)
                VALUES (\(place.topic.rawValue), \(place.partition.rawValue), \(bytes: piece)) RETURNING seq
                """
            if number == pieces.count - 1 {
                sequence = try await transaction.commit(after: insert).first?.value("seq")
            } else {
                transaction.later(insert)
            }
        }
        if pieces.isEmpty { _ = try await transaction.commit() }
        return sequence
    }

    /// Takes outputs out of the outbox that are known to be published. Nothing depends on it but that they are not
    /// published again.
    func forget(through published: Int64, _ place: TopicPartition) async throws {
        try await pool.transaction { transaction in forget(through: published, place, transaction) }
    }

    private func forget(through published: Int64?, _ place: TopicPartition, _ transaction: PostgresTransaction) {
        guard let published else { return }
        transaction.later(
            """
            DELETE FROM flotilla_outbox WHERE topic = \(place.topic.rawValue)
            AND partition = \(place.partition.rawValue) AND seq <= \(published)
            """)
    }

    /// What `flotilla_hold` raises.
    static let takenOver = "FL001"

    /// One row of the outbox takes about so much.
    private static let pieceBytes = 8 << 20
}

/// What is known of a partition while this worker owns it.
package struct PartitionBook: Sendable {
    package let place: TopicPartition
    package let generation: Int64
    /// The offset that is applied next; everything below is in.
    package var next: Int64
}
