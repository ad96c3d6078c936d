import Contracts
import Kafka
import LocalBroker
import Model
import Platform
import TestSupport
import Testing

@Suite(.inTurns) struct PlanTests {
    /// What a broker has when everything is as it should be.
    private func asWanted(_ catalog: TopicCatalog) -> [TopicName: ActualTopic] {
        Dictionary(
            catalog.wanted.map { wanted in
                var settings = wanted.settings
                settings["segment.bytes"] = "1"
                return (wanted.name, ActualTopic(partitions: wanted.partitions, replication: 1, settings: settings))
            }
        ) { $1 }
    }

    private func plan(_ catalog: TopicCatalog, _ actual: [TopicName: ActualTopic], others: [TopicName] = [])
        -> TopicPlan
    {
        TopicPlan(wanted: catalog.wanted, actual: actual, others: others, namespace: catalog.namespace)
    }

    @Test func whatIsAsItShouldBeNeedsNothing() throws {
        let catalog = try TopicFolder.shop().catalog(Namespace("x"))
        let plan = plan(catalog, asWanted(catalog))
        #expect(plan.isEmpty && plan.warnings.isEmpty)
        let readiness = Readiness(wanted: catalog.wanted, actual: asWanted(catalog), namespace: catalog.namespace)
        #expect(readiness.isReady && readiness.drift.isEmpty)
    }

    @Test func whatIsMissingIsMade() throws {
        let catalog = try TopicFolder.shop().catalog()
        #expect(plan(catalog, [:]).changes == catalog.wanted.map { .create($0) })
    }

    @Test func growingWarnsAndShrinkingIsRefused() throws {
        let catalog = try TopicFolder.shop().catalog()
        var actual = asWanted(catalog)
        actual["orders"]?.partitions = 2
        var plan = plan(catalog, actual)
        #expect(plan.changes == [.grow("orders", from: 2, to: 3)])
        #expect(plan.warnings.map(\.topic) == ["orders"])
        #expect(plan.warnings.first?.reason.contains("breaks the order of keys") == true)

        for name in actual.keys where name.rawValue.hasPrefix("orders") { actual[name]?.partitions = 9 }
        plan = self.plan(catalog, actual)
        #expect(plan.changes.isEmpty)
        #expect(plan.refusals.map(\.topic) == ["orders"])
        #expect(!plan.isEmpty)
        actual["orders"]?.partitions = 3
        #expect(self.plan(catalog, actual).refusals.count == 6)
    }

    @Test func onlySettingsThatDifferAreChanged() throws {
        let catalog = try TopicFolder.shop().catalog()
        var actual = asWanted(catalog)
        actual["orders"]?.settings["retention.ms"] = "-1"
        actual["invoices"]?.settings["max.message.bytes"] = nil
        let plan = plan(catalog, actual)
        #expect(
            plan.changes.map { "\($0)" }.count == 2 && plan.changes.map(\.topic) == ["invoices", "orders"])
        #expect(plan.changes.map(\.losesRecords) == [false, true])
        #expect(plan.losses.map(\.reason) == ["a shorter time deletes records older than 14d"])
    }

    /// Workers of other packages share it, and know nothing of what the fleet's own file says.
    @Test func whatNoFileSaysIsOnlyMadeWhereItIsMissing() throws {
        let catalog = try TopicFolder.shop().catalog()
        var actual = asWanted(catalog)
        actual[.outcomes]?.partitions = 12
        actual[.outcomes]?.settings["retention.ms"] = "-1"
        actual[.outcomes]?.settings["max.message.bytes"] = "65536"
        #expect(plan(catalog, actual).isEmpty)
        let readiness = Readiness(wanted: catalog.wanted, actual: actual, namespace: catalog.namespace)
        #expect(readiness.isReady && readiness.drift.isEmpty)
        actual[.outcomes]?.settings["cleanup.policy"] = "compact"
        #expect(plan(catalog, actual).changes.map(\.topic) == [.outcomes])
    }

    @Test func whatNoFileSaysIsAsTheFleetsOwnFileHasIt() throws {
        func outcomes(_ catalog: TopicCatalog) throws -> WantedTopic {
            try #require(catalog.wanted.first { $0.name == .outcomes })
        }
        let (assumed, own) = (
            try outcomes(TopicFolder.shop().catalog()), try outcomes(TopicCatalog(folder: TopicFolder.fleet))
        )
        #expect(assumed.isAssumed && !own.isAssumed)
        #expect(assumed.settings == own.settings && assumed.partitions == own.partitions)
    }

    @Test func replicationThatDiffersIsTold() throws {
        let catalog = try TopicFolder(["a.yaml": "name: a\nreplication: 3\n"]).catalog()
        let plan = plan(catalog, asWanted(catalog))
        #expect(plan.isEmpty)
        #expect(plan.warnings.first?.reason.contains("has 1 copies of each partition, not 3") == true)
    }

    @Test func leftoversAreSeenAndLeftAlone() throws {
        let catalog = try TopicFolder.shop().catalog(Namespace("x"))
        let others: [TopicName] = [
            "x.orders.gone.dlq", "x.orders.billing.retry.1h", "x.orders.other", "orders.gone.dlq",
            "x.invoices.a.replay", "y.orders.a.dlq",
        ]
        let plan = plan(catalog, asWanted(catalog), others: others)
        #expect(plan.leftovers == ["x.orders.gone.dlq", "x.orders.billing.retry.1h", "x.invoices.a.replay"])
        #expect(plan.isEmpty)
    }

    @Test func workBeginsOnlyOnTopicsThatFit() throws {
        let catalog = try TopicFolder.shop().catalog(Namespace("x"))
        let wanted = catalog.wanted(for: ["stock"])
        func faults(_ change: (inout [TopicName: ActualTopic]) -> Void) -> [String] {
            var actual = asWanted(catalog)
            change(&actual)
            return Readiness(wanted: wanted, actual: actual, namespace: catalog.namespace).faults.map(\.description)
        }
        #expect(faults { $0["x.orders.stock.dlq"] = nil } == ["x.orders.stock.dlq: is missing"])
        #expect(faults { $0["x.orders.billing.dlq"] = nil } == [])
        #expect(
            faults { $0["x.orders"]?.partitions = 5 } == [
                "x.orders.stock.dlq: has 3 partitions, and orders has 5",
                "x.orders.stock.replay: has 3 partitions, and orders has 5",
            ])
        #expect(
            faults { $0["x.orders.stock.dlq"]?.settings["max.message.bytes"] = "524288" } == [
                "x.orders.stock.dlq: has max.message.bytes=524288, not 589824"
            ])
        #expect(faults { $0["x.orders.stock.dlq"]?.settings["max.message.bytes"] = "99999999" } == [])
        #expect(faults { $0["x.orders"]?.settings["cleanup.policy"] = "compact" }.count == 1)
        #expect(faults { $0["x.orders"]?.settings["retention.ms"] = "1" } == [])
        let nothing = Readiness(wanted: wanted, actual: [:], namespace: catalog.namespace)
        #expect(nothing.faults.count == 4)
        #expect(nothing.advice("flotilla").hasSuffix("run: flotilla topics apply"))
    }

    // MARK: With a broker

    private func withAdmin(_ body: (Admin) async throws -> Void) async throws {
        let folder = TemporaryFolder()
        var configuration = BrokerConfiguration(dataFolder: folder.path)
        configuration.listen.port = 0
        configuration.durability = .never
        let broker = try Broker.start(configuration, log: Log(level: .error, format: .text))
        defer { try? broker.stop() }
        let client = ClientConfiguration(brokers: ["127.0.0.1:\(broker.endpoint.port)"])
        try await Admin.use(client, patience: .seconds(30), body)
    }

    @Test func applyingMakesItSoAndAgainDoesNothing() async throws {
        let folder = TopicFolder.shop()
        try await withAdmin { admin in
            let namespace = Namespace("test")
            let catalog = try folder.catalog(namespace)
            #expect(try await !catalog.readiness(of: ["billing"], with: admin).isReady)
            let plan = try await catalog.plan(with: admin)
            #expect(plan.changes.count == 9)
            var done = 0
            try await plan.apply(with: admin) { _ in done += 1 }
            #expect(done == 9)
            // The same plan again: someone was faster.
            try await plan.apply(with: admin)
            #expect(try await catalog.plan(with: admin).isEmpty)
            #expect(try await catalog.readiness(of: ["billing", "stock"], with: admin).isReady)

            folder.write(
                "orders.yaml",
                TopicFolder.orders.replacing("partitions: 3", with: "partitions: 5").replacing("14d", with: "3d"))
            let changed = try folder.catalog(namespace)
            try await changed.plan(with: admin).apply(with: admin)
            #expect(try await admin.settings(of: "test.orders")["retention.ms"]?.value == "1209600000")
            #expect(try await changed.plan(with: admin).changes.allSatisfy(\.losesRecords))
            try await changed.plan(with: admin).apply(with: admin, losing: true)
            #expect(try await changed.plan(with: admin).isEmpty)
            let settings = try await admin.settings(of: "test.orders")
            #expect(settings["retention.ms"]?.value == "259200000")
            #expect(settings["max.message.bytes"]?.value == "524288")
            #expect(try await admin.topics(["test.orders.stock.dlq"])["test.orders.stock.dlq"]?.partitions.count == 5)

            // Back to fewer: refused, and nothing is touched.
            let refused = try await catalog.plan(with: admin)
            #expect(refused.refusals.map(\.topic) == ["test.orders"])
            await #expect(throws: PlanFault.self) { try await refused.apply(with: admin) }
            #expect(try await admin.settings(of: "test.orders")["retention.ms"]?.value == "259200000")
        }
    }

    @Test func whatOneTopicCannotHaveDoesNotStopTheOthers() async throws {
        let folder = TopicFolder(["a.yaml": "name: a\nreplication: 3\n", "b.yaml": "name: b\n"])
        try await withAdmin { admin in
            let catalog = try folder.catalog()
            let fault = await #expect(throws: PlanFault.self) { try await catalog.plan(with: admin).apply(with: admin) }
            #expect(fault?.reasons.count == 1)
            #expect(try await admin.topics().keys.sorted() == ["b"])
        }
    }
}
