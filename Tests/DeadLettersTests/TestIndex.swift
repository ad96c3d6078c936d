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
