import Contracts
import Model
import Testing

@Suite struct CatalogTests {
    @Test func everythingThatIsWrittenIsRead() throws {
        let catalog = try TopicFolder.shop().catalog()
        #expect(catalog.topics.map(\.name) == ["invoices", "orders"])
        let orders = try #require(catalog["orders"])
        #expect(orders.about == "what customers ordered")
        #expect((orders.partitions, orders.replication, orders.maxMessageBytes) == (3, nil, 512 << 10))
        #expect(orders.retention == .time(.seconds(14 * 86_400)))
        #expect(orders.key == "customer_id")
        #expect(orders.dataSchema == "https://shop.example/order/1")
        #expect(orders.pii == ["/customer_id", "/address/a~1b"])
        #expect(orders.publish == .validated)

        var billing = ConsumerPolicy(handler: "billing")
        billing.concurrency = 8
        billing.deadline = .seconds(10)
        billing.retry.inProcess = 2
        billing.retry.tiers = [.seconds(10), .minutes(5)]
        billing.once.ttl = .seconds(3600)
        billing.once.onStoreDown = .proceed
        billing.breaker.failures = 5
        billing.breaker.window = .seconds(10)
        billing.breaker.cooldown = .milliseconds(500)
        billing.produces = ["invoices"]
        var stock = ConsumerPolicy(handler: "stock")
        stock.ordering = .partition
        stock.retry.tiers = []
        stock.once.ttl = nil
        #expect(orders.consumers == [billing, stock])
        #expect(catalog.handlers == ["billing", "stock"])
        #expect(catalog.subscriptions(of: "billing").map(\.topic.name) == ["orders"])
        #expect(catalog.families == [TopicFamily("orders", "billing"), TopicFamily("orders", "stock")])
    }

    @Test func whatIsNotWrittenHasItsDefault() throws {
        let catalog = try TopicFolder(["a.yaml": "name: a\nconsumers: [{handler: h}]\n"]).catalog()
        let topic = try #require(catalog["a"])
        #expect((topic.partitions, topic.replication, topic.maxMessageBytes) == (6, nil, 1 << 20))
        #expect(topic.retention == .time(.seconds(7 * 86_400)))
        #expect(topic.publish == .no)
        #expect(topic.consumers == [ConsumerPolicy(handler: "h")])
    }

    @Test func derivedTopicsFollowTheirSource() throws {
        let catalog = try TopicFolder.shop().catalog(Namespace("test"))
        #expect(
            catalog.wanted.map(\.name) == [
                "test.invoices", "test.orders", "test.orders.billing.retry.10s", "test.orders.billing.retry.5m",
                "test.orders.billing.dlq", "test.orders.billing.replay", "test.orders.stock.dlq",
                "test.orders.stock.replay", "test.flotilla.outcomes",
            ])
        let orders = catalog.wanted.filter { $0.name.rawValue.hasPrefix("test.orders") }
        #expect(orders.allSatisfy { $0.partitions == 3 && $0.settings["cleanup.policy"] == "delete" })
        #expect(orders.allSatisfy { $0.settings["message.timestamp.type"] == "CreateTime" })
        #expect(orders.map { $0.settings["max.message.bytes"] } == ["524288"] + Array(repeating: "589824", count: 6))
        let day = 86_400_000
        #expect(
            orders.map { $0.settings["retention.ms"] } == [14, 7, 7, 30, 7, 30, 7].map { "\($0 * day)" })
        #expect(orders[1].role == .retry(TopicFamily("orders", "billing"), .seconds(10)))
    }

    @Test func aHandlerNeedsWhatItReadsAndWrites() throws {
        let catalog = try TopicFolder.shop().catalog()
        #expect(
            catalog.wanted(for: ["stock"]).map(\.name) == [
                "orders", "orders.stock.dlq", "orders.stock.replay", "flotilla.outcomes",
            ])
        #expect(catalog.wanted(for: ["billing"]).map(\.name).contains("invoices"))
        #expect(catalog.wanted(for: ["nobody"]).isEmpty)
    }

    @Test func threeCopiesNeedTwoToWrite() throws {
        let wanted = try TopicFolder(["a.yaml": "name: a\nreplication: 3\nretention: infinite\n"]).catalog().wanted
        #expect(wanted.first?.settings["min.insync.replicas"] == "2")
        #expect(wanted.first?.replication == 3)
        #expect(wanted.first?.settings["retention.ms"] == "-1")
    }

    @Test func theReaderOfDeadLettersReadsThemAllAndHasNone() throws {
        let folder = TopicFolder.shop()
        folder.write("flotilla.outcomes.yaml", "name: flotilla.outcomes\nconsumers: [{handler: deadletters}]\n")
        let catalog = try folder.catalog()
        #expect(catalog.families.count == 2)
        #expect(catalog.deadLetterTopics == ["orders.billing.dlq", "orders.stock.dlq"])
        #expect(
            catalog.wanted(for: [.deadLetters]).map(\.name)
                == ["flotilla.outcomes", "orders.billing.dlq", "orders.stock.dlq"])
        let policy = try #require(catalog.subscriptions(of: .deadLetters).first?.policy)
        #expect(policy.ordering == .partition && policy.once.ttl == nil && policy.retry.tiers.isEmpty)
    }

    @Test func theMemoryOutlastsTheRetries() throws {
        let text = "name: a\nconsumers: [{handler: h, retry: {tiers: [1m, 2h]}}]\n"
        let ttl = try #require(try TopicFolder(["a.yaml": text]).catalog()["a"]?.consumers.first?.once.ttl)
        #expect(ttl > .seconds(7260) && ttl < .seconds(8000))
    }
}
