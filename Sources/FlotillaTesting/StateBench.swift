internal import Flotilla
public import Model
public import Platform
public import Postgres

/// A handler with state under test: its tables in a schema of its own in a real Postgres, no broker, no worker.
///
///     let bench = try await StateBench(Totals(), database: url)
///     try await bench.apply([.sample(subject: "ada", json: #"{"amount": 3}"#)])
///     #expect(try await bench.query("SELECT sum FROM totals")[0].value("sum") == 3)
///     try await bench.close()
///
/// Each `apply` and each `tick` is one transaction: what throws leaves nothing behind, as in a worker.
public final class StateBench<Tested: StatefulHandler>: Sendable {
    public let handler: Tested
    private let pool: PostgresPool
    private let schema: String

    /// Makes the handler's tables. `database` is what a worker has in `DATABASE_URL`; the schema that is made there goes
    /// with `close`.
    public init(_ handler: Tested, database: String) async throws {
        self.handler = handler
        schema = "test_\(UUIDValue.version7())"
        var configuration = try PostgresConfiguration(url: database)
        configuration.schema = schema
        configuration.connections = 1
        pool = try PostgresPool(configuration)
        do {
            try await StateStore(pool, worker: "test").prepare(handler.migrations)
        } catch {
            pool.close()
            throw error
        }
    }

    /// Drops the schema with all that is in it. To be called once, at the end.
    public func close() async throws {
        defer { pool.close() }
        try await pool.transaction { try await $0.execute("DROP SCHEMA \(identifier: schema) CASCADE") }
    }

    /// Has the handler apply events; what it would publish.
    @discardableResult
    public func apply(_ events: [Event], attempt: Int = 1, now: Timestamp? = nil) async throws -> [PublishedEvent] {
        let context = context(events.first, attempt, now)
        return try await pool.transaction { transaction in
            try handler.published(try await handler.apply(events, transaction, context))
        }
    }

    /// Has a second pass for a partition; what the handler would publish. `quietSince`: since when the partition is read
    /// and brings nothing; by default always, nil is one that is paused or has records that wait. `readThrough`: up to when
    /// everything is applied that the partition had; by default until now.
    @discardableResult
    public func tick(
        _ now: Timestamp, _ partition: TopicPartition, quietSince: Timestamp? = Timestamp(milliseconds: 0),
        readThrough: Timestamp? = Timestamp(milliseconds: .max)
    ) async throws -> [PublishedEvent] {
        let context = context(nil, 1, now, quietSince, readThrough.map { min($0, now) })
        return try await pool.transaction { transaction in
            try handler.published(try await handler.tick(now, partition, transaction, context))
        }
    }

    /// Looks into the handler's tables.
    @discardableResult
    public func query(_ statement: SQL) async throws -> PostgresRows {
        try await pool.transaction { try await $0.query(statement) }
    }

    private func context(
        _ event: Event?, _ attempt: Int, _ now: Timestamp?, _ quietSince: Timestamp? = nil,
        _ readThrough: Timestamp? = nil
    ) -> Context {
        Context(
            sample: .stateful(handler), event, attempt: attempt, now: now, quietSince: quietSince,
            readThrough: readThrough)
    }
}
