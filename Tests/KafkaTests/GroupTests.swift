import Kafka
import MockCluster
import Testing

/// Groups that grow and shrink, under an eager and a cooperative strategy.
@Suite(.timeLimit(.minutes(2))) struct GroupTests {
    private static let strategies: [ConsumerConfiguration.Strategy] = [.range, .roundRobin, .cooperativeSticky]

    private func consumer(
        _ fixture: Fixture, _ strategy: ConsumerConfiguration.Strategy, drain: Duration = .seconds(25)
    ) throws -> Consumer {
        var configuration = ConsumerConfiguration(fixture.client, group: "workers")
        configuration.strategy = strategy
        configuration.drainTimeout = drain
        configuration.fetchWait = .milliseconds(50)
        return try Consumer(configuration)
    }

    private func assigned(_ consumer: Consumer) async throws -> [TopicPartition] {
        try await consumer.event { if case .assigned(let places) = $0 { places } else { nil } }
    }

    private func revoked(_ consumer: Consumer) async throws -> Revocation {
        try await consumer.event { if case .revoked(let revocation) = $0 { revocation } else { nil } }
    }

    @Test(arguments: strategies)
    func aNewMemberWaitsUntilTheOldOneHasDrained(strategy: ConsumerConfiguration.Strategy) async throws {
        let fixture = try Fixture(partitions: 2)
        let old = try consumer(fixture, strategy)
        try await old.subscribe([fixture.topic])
        #expect(try await assigned(old).count == 2)
        let new = try consumer(fixture, strategy)
        try await new.subscribe([fixture.topic])

        // Commits what it has under way before it answers; the group must still know it.
        let revocation = try await revoked(old)
        let given = revocation.partitions
        #expect(!given.isEmpty)
        try await old.commit(given.map { PartitionOffset($0, 5) })
        #expect(try await new.next(within: .milliseconds(300)).assignedCount == 0)
        revocation.done()
        revocation.done()

        let drain = Task { try await old.swallow() }
        var taken: [TopicPartition] = []
        while taken.isEmpty { taken = try await assigned(new) }
        #expect(taken.count == 1)
        let committed = try await new.committed(given)
        #expect(given.allSatisfy { committed[$0]?.offset == 5 })
        drain.cancel()
        _ = await drain.result
        await new.close()
        await old.close()
    }

    @Test(arguments: strategies)
    func whoDoesNotAnswerIsNotWaitedForForever(strategy: ConsumerConfiguration.Strategy) async throws {
        let fixture = try Fixture(partitions: 2)
        let old = try consumer(fixture, strategy, drain: .milliseconds(100))
        try await old.subscribe([fixture.topic])
        _ = try await assigned(old)
        let new = try consumer(fixture, strategy)
        try await new.subscribe([fixture.topic])
        let kept = try await revoked(old)
        let drain = Task { try await old.swallow() }
        var taken: [TopicPartition] = []
        while taken.isEmpty { taken = try await assigned(new) }
        // Too late, and without effect on what came after.
        kept.done()
        drain.cancel()
        _ = await drain.result
        #expect(try await old.assignment().count == 1)
        await old.close()
        await new.close()
    }

    @Test(arguments: strategies)
    func whoLeavesGivesWayAtOnce(strategy: ConsumerConfiguration.Strategy) async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(0, count: 3)
        let old = try consumer(fixture, strategy)
        try await old.subscribe([fixture.topic])
        _ = try await assigned(old)
        // It paused, read and left; a pause must not go with the partition.
        try await old.pause([fixture.place(0)])
        await old.close()
        let new = try consumer(fixture, strategy)
        try await new.subscribe([fixture.topic])
        #expect(try await new.records(3).count == 3)
        await new.close()
    }

    @Test func nobodyHasToAskForEventsToStayAMember() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(count: 100)
        let old = try consumer(fixture, .range, drain: .zero)
        try await old.subscribe([fixture.topic])
        _ = try await assigned(old)
        // The old member never asks again, and has records waiting; the new one gets its share even so.
        let new = try consumer(fixture, .range)
        try await new.subscribe([fixture.topic])
        #expect(try await assigned(new).count == 1)
        await new.close()
        await old.close()
    }

    @Test func partitionsComeBackWhenTheOtherLeaves() async throws {
        let fixture = try Fixture(partitions: 2)
        let old = try consumer(fixture, .range)
        try await old.subscribe([fixture.topic])
        _ = try await assigned(old)
        try await old.pause([fixture.place(0), fixture.place(1)])
        let new = try consumer(fixture, .range)
        try await new.subscribe([fixture.topic])
        (try await revoked(old)).done()
        let mine = Task { try await assigned(old) }
        _ = try await assigned(new)
        #expect(try await mine.value.count == 1)
        await new.close()
        (try await revoked(old)).done()
        #expect(try await assigned(old).count == 2)
        // Paused before, and given up since: they run again.
        for partition in 0..<2 { try await fixture.fill(Int32(partition), count: 5) }
        #expect(try await old.records(10).count == 10)
        await old.close()
    }
}

extension Consumer {
    /// Answers every revocation until the task is cancelled.
    func swallow() async throws {
        while !Task.isCancelled {
            if case .revoked(let revocation) = try await next() { revocation.done() }
        }
    }
}

extension ConsumerEvent? {
    /// How many partitions an `.assigned` brings; nothing brings none.
    var assignedCount: Int {
        if case .assigned(let places) = self { places.count } else { 0 }
    }
}
