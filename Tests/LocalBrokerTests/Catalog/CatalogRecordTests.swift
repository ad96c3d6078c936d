import TestSupport
import Testing

@testable import LocalBroker

@Suite struct CatalogRecordTests {
    private static func settings(_ change: (inout BrokerSettings) -> Void) -> BrokerSettings {
        var settings = BrokerSettings()
        change(&settings)
        return settings
    }

    static let records: [CatalogRecord] = [
        .cluster(id: "0123456789abcdef"), .cluster(id: ""),
        .topic(
            TopicEntry(name: "t", id: UUID128(high: .max, low: 0), partitions: .max, config: TopicConfig())),
        .topic(
            TopicEntry(
                name: "ä.t_x-1", id: UUID128(high: 1, low: .max), partitions: 1,
                config: (try? TopicConfig([
                    "retention.ms": "-1", "segment.bytes": "1048576", "cleanup.policy": "delete",
                    "max.message.bytes": "64",
                ])) ?? TopicConfig())),
        .topicDeleted(name: "t", id: UUID128(high: 3, low: 4)),
        .producerIDs(end: 0), .producerIDs(end: .max),
        .settings(BrokerSettings()),
        .settings(
            settings {
                $0.autoCreateTopics = false
                $0.defaultPartitions = 1_000
            }),
    ]

    @Test(arguments: records) func readsWhatItWrote(record: CatalogRecord) throws {
        #expect(CatalogRecord(record.encoded[...]) == record)
        guard case .catalog(let again) = try JournalEntry(JournalEntry.catalog(record).encoded[...]) else {
            Issue.record("not read as the catalog's")
            return
        }
        #expect(again == record)
    }

    @Test(arguments: records) func aTruncatedOneIsNone(record: CatalogRecord) {
        let bytes = record.encoded
        for count in 0..<bytes.count { #expect(CatalogRecord(bytes[..<count]) == nil, "\(count) bytes") }
        let entry = JournalEntry.catalog(record).encoded
        for count in 0..<entry.count {
            #expect(throws: BrokerFault.self, "\(count) bytes") { try JournalEntry(entry[..<count]) }
        }
    }

    /// Damaged bytes are read or refused; a catalog takes whatever can be read.
    @Test(arguments: TestDice.seeds(3)) func damagedBytesDoNoHarm(seed: UInt64) {
        var random = TestDice(seed: seed)
        var catalog = Catalog()
        var refused = 0
        for _ in 0..<10_000 {
            var bytes = Self.records[Int.random(in: 0..<Self.records.count, using: &random)].encoded
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let record = CatalogRecord(bytes[...]) { catalog.apply(record) } else { refused += 1 }
        }
        #expect(refused > 0 && refused < 10_000, "seed \(seed)")
        #expect(catalog.partitionCount == catalog.topics.values.reduce(0) { $0 + Int($1.partitions) }, "seed \(seed)")
    }

    @Test func whatNoVersionWroteIsRefused() {
        for bytes in [[UInt8](), [0], [6], [255], [1, 0, 1, 0xff]] {
            #expect(CatalogRecord(bytes[...]) == nil, "\(bytes)")
        }
        // Partitions of none, ids below none, settings that cannot be.
        #expect(CatalogRecord([2, 0, 1, 0x74] + [UInt8](repeating: 0, count: 22)) == nil)
        #expect(CatalogRecord([4, 0xff, 0, 0, 0, 0, 0, 0, 0]) == nil)
        #expect(CatalogRecord([5, 1, 0, 0, 0, 0]) == nil)
        for owner in [UInt8(0), 3, 255] {
            #expect(throws: BrokerFault.self) { try JournalEntry([owner, 1, 0, 0]) }
        }
    }

    @Test func groupsKeepTheirOwnEncoding() throws {
        let record = GroupRecord.generation(group: "g", generation: 7)
        guard case .group(let again) = try JournalEntry(JournalEntry.group(record).encoded[...]) else {
            Issue.record("not read as the groups'")
            return
        }
        #expect(again == record)
    }
}
