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
            found[ByteText(try row.value("campaign"))] = try Self.guardian(row)
        }
        return found
    }

    /// Adds values of campaigns to those that are stored, and gives back what there is then. Another partition may have
    /// added some meanwhile, if points of a campaign come by two.
    func add(_ values: [(campaign: ByteText, values: CardinalityGuard)]) async throws -> [CardinalityGuard] {
        guard !values.isEmpty else { return [] }
        let names = BinaryArray(texts: values.map(\.campaign).sorted().map(\.text))
        // Conflicting inserts wait for each other as locks do, so both go by the same order.
        transaction.later(
            """
            INSERT INTO dimension_guards (campaign, guard)
            SELECT c, \(bytes: CardinalityGuard().stored) FROM unnest(\(names)::text[]) AS k (c) ORDER BY c COLLATE "C"
            ON CONFLICT DO NOTHING
            """)
        let rows = try await transaction.query(
            """
            SELECT campaign, guard FROM dimension_guards WHERE campaign = ANY(\(names)::text[])
            ORDER BY campaign COLLATE "C" FOR UPDATE
            """)
        var stored: [ByteText: CardinalityGuard] = [:]
        for row in rows { stored[ByteText(try row.value("campaign"))] = try Self.guardian(row) }
        let all = values.map { one in
            var sum = stored[one.campaign] ?? CardinalityGuard()
            sum.formUnion(one.values)
            return sum
        }
        transaction.later(
            """
            UPDATE dimension_guards SET guard = k.guard
            FROM unnest(\(BinaryArray(texts: values.map(\.campaign.text)))::text[],
                \(BinaryArray(bytes: all.map(\.stored)))::bytea[]) AS k (campaign, guard)
            WHERE dimension_guards.campaign = k.campaign
            """)
        return all
    }

    private static func guardian(_ row: PostgresRow) throws -> CardinalityGuard {
        try PostgresFault.reading("guard of a campaign's dimensions") {
            try CardinalityGuard(stored: row.value("guard"))
        }
    }
}
