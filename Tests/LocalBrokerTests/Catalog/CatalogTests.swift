import Testing

@testable import LocalBroker

@Suite struct CatalogTests {
    private func entry(_ name: String, _ partitions: Int32 = 1, id: UInt64 = 1) -> TopicEntry {
        TopicEntry(name: name, id: UUID128(high: 7, low: id), partitions: partitions, config: TopicConfig())
    }

    @Test func countsPartitionsAsTopicsComeGrowAndGo() {
        var catalog = Catalog()
        catalog.apply(.topic(entry("a", 3)))
        catalog.apply(.topic(entry("b", 4, id: 2)))
        catalog.apply(.topic(entry("a", 5)))
        #expect(catalog.partitionCount == 9)
        catalog.apply(.topicDeleted(name: "a", id: UUID128(high: 7, low: 1)))
        catalog.apply(.topicDeleted(name: "never", id: UUID128(high: 7, low: 9)))
        #expect(catalog.partitionCount == 4)
        #expect(catalog.topics.keys.sorted() == ["b"])
        #expect(catalog.deletedTopics.values.sorted() == ["a", "never"])
        catalog.forgetDeletedTopic(UUID128(high: 7, low: 1))
        #expect(catalog.deletedTopics.values.sorted() == ["never"])
    }

    /// Also when a topic's name is in use again and the folder of its predecessor is not gone.
    @Test func aSnapshotMakesAnEqualCatalog() throws {
        var catalog = Catalog()
        catalog.apply(.cluster(id: "c"))
        catalog.apply(.producerIDs(end: 3_000))
        // Blocks of ids are never given back.
        catalog.apply(.producerIDs(end: 2_000))
        catalog.apply(.topic(entry("a", 3)))
        catalog.apply(.topicDeleted(name: "a", id: UUID128(high: 7, low: 1)))
        catalog.apply(
            .topic(
                TopicEntry(
                    name: "a", id: UUID128(high: 7, low: 2), partitions: 2,
                    config: try TopicConfig(["retention.ms": "5"]))))
        var settings = BrokerSettings()
        settings.autoCreateTopics = false
        catalog.apply(.settings(settings))
        var again = Catalog()
        for record in catalog.snapshot { again.apply(record) }
        #expect(again.clusterID == "c" && again.producerIDsEnd == 3_000)
        #expect(again.topics == catalog.topics && again.topics["a"]?.partitions == 2)
        #expect(again.settings == settings)
        #expect(again.deletedTopics == catalog.deletedTopics && again.deletedTopics.count == 1)
        #expect(again.partitionCount == 2)
    }

    @Test func namesAreKafkas() {
        for name in ["a", "A.b_c-9", "...", "-", String(repeating: "x", count: 249)] {
            #expect(Catalog.fault(inTopicName: name) == nil, "\(name)")
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a\u{0}", "a\n", "a:b", String(repeating: "x", count: 250)] {
            #expect(Catalog.fault(inTopicName: name) != nil, "\(name)")
        }
    }
}
