internal import Model
internal import Platform
internal import Postgres

/// A partition's row: who has locked it is the only one who changes windows, journal and row of the partition.
struct PartitionRow {
    /// All windows that end here or before are closed.
    let closedTo: Int64?
    /// When the partition last brought something.
    let seenAt: Int64
    let stamp: Int64
    /// Pieces of the journal up to here are in the windows, and up to there they were written.
    let folded: Int64
    let last: Int64
}

struct PartitionStore: Sendable {
    let transaction: PostgresTransaction
    let partition: Int32

    /// Locks the partition's row until the transaction ends.
    func hold(now: Int64) async throws -> PartitionRow {
        while true {
            let row = try await transaction.query(
                """
                SELECT closed_to, seen_at, stamp, folded, last FROM partitions WHERE partition = \(partition) FOR UPDATE
                """
            ).first
            if let row {
                return PartitionRow(
                    closedTo: try row.optional("closed_to", as: Timestamp.self)?.milliseconds,
                    seenAt: try row.value("seen_at", as: Timestamp.self).milliseconds, stamp: try row.value("stamp"),
                    folded: try row.value("folded"), last: try row.value("last"))
            }
            transaction.later(
                """
                INSERT INTO partitions (partition, seen_at, stamp)
                VALUES (\(partition), \(Timestamp(milliseconds: now)), \(MemoryTable.newStamp()))
                ON CONFLICT DO NOTHING
                """)
        }
    }

    func save(_ row: PartitionRow) {
        transaction.later(
            """
            UPDATE partitions SET closed_to = \(row.closedTo.map { Timestamp(milliseconds: $0) }),
                seen_at = \(Timestamp(milliseconds: row.seenAt)), stamp = \(row.stamp), folded = \(row.folded),
                last = \(row.last)
            WHERE partition = \(partition)
            """)
    }

    /// Has the memories of other partitions be thrown away, and keeps those from being written meanwhile.
    func disturb(_ others: Set<Int32>) async throws {
        let others = others.sorted().map { Int64($0) }
        try await transaction.execute(
            """
            UPDATE partitions SET stamp = \(MemoryTable.newStamp())
            WHERE partition = ANY(\(BinaryArray(integers: others))::bigint[])
            """)
    }

    // MARK: Values of dimensions

    func values(of campaigns: [ByteText]) async throws -> [ByteText: CardinalityGuard] {
        let rows = try await transaction.query(
            """
            SELECT campaign, guard FROM dimension_guards
            WHERE campaign = ANY(\(BinaryArray(texts: campaigns.map(\.text)))::text[])
            """)
        var found: [ByteText: CardinalityGuard] = [:]
        for row in rows {
            found[ByteText(try row.value("campaign"))] = try CardinalityGuard(stored: row.value("guard"))
        }
        return found
    }

    func save(_ values: [(campaign: ByteText, values: CardinalityGuard)]) {
        guard !values.isEmpty else { return }
        transaction.later(
            """
            INSERT INTO dimension_guards
            SELECT * FROM unnest(\(BinaryArray(texts: values.map(\.campaign.text)))::text[],
                \(BinaryArray(bytes: values.map(\.values.stored)))::bytea[])
            ON CONFLICT (campaign) DO UPDATE SET guard = excluded.guard
            """)
    }
}
