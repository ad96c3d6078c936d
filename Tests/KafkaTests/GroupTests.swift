import Kafka
import MockCluster
import Testing

/// Groups that grow and shrink, under an eager and a cooperative strategy.
@Suite(.timeLimit(.minutes(2))) struct GroupTests {
    private static let strategies: [ConsumerConfiguration.Strategy] = [.range, .roundRobin, .cooperativeSticky]

    /// Runs `body` with two members to be of one group, and closes them whatever happens.
    private func withMembers(
        _ fixture: Fixture, _ strategy: ConsumerConfiguration.Strategy = .range, drain: Duration = .seconds(25),
        _ body: (_ old: Consumer, _ new: Consumer) async throws -> Void
    ) async throws {
        try await fixture.withConsumer(group: "workers") {
            $0.strategy = strategy
            $0.drainTimeout = drain
        } _: { old in
            try await fixture.withConsumer(group: "workers", { $0.strategy = strategy }) { new in
                try await body(old, new)
            }
        }
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
        try await withMembers(fixture, strategy) { old, new in
            try await old.subscribe([fixture.topic])
            #expect(try await assigned(old).count == 2)
            try await new.subscribe([fixture.topic])

            // As long as it has not answered, the new member has nothing.
            let revocation = try await revoked(old)
            let given = revocation.partitions
            #expect(!given.isEmpty)
            #expect(try await new.next(within: .milliseconds(300)).assignedCount == 0)
            revocation.done()
            revocation.done()

            let drain = Task { try await old.swallow() }
            var taken: [TopicPartition] = []
            while taken.isEmpty { taken = try await assigned(new) }
            #expect(taken.count == 1)
            #expect(given.contains(taken[0]))
            drain.cancel()
            _ = await drain.result
        }
    }

    @Test(arguments: strategies)
    func whoDoesNotAnswerIsNotWaitedForForever(strategy: ConsumerConfiguration.Strategy) async throws {
        let fixture = try Fixture(partitions: 2)
        try await withMembers(fixture, strategy, drain: .milliseconds(100)) { old, new in
            try await old.subscribe([fixture.topic])
            _ = try await assigned(old)
            try await new.subscribe([fixture.topic])
            let kept = try await revoked(old)
            let drain = Task { try await old.swallow() }
            var taken: [TopicPartition] = []
            while taken.isEmpty { taken = try await assigned(new) }
            // Too late, and without effect on what came after.
            kept.done()
            // It hears of its own share when it hears of it; that it has one in the end is what matters.
            while try await old.assignment().count != 1 { await Task.yield() }
            drain.cancel()
            _ = await drain.result
        }
    }

    @Test(arguments: strategies)
    func whoLeavesGivesWayAtOnce(strategy: ConsumerConfiguration.Strategy) async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(0, count: 3)
        try await withMembers(fixture, strategy) { old, new in
            try await old.subscribe([fixture.topic])
            _ = try await assigned(old)
            // It paused, read and left; a pause must not go with the partition.
            try await old.pause([fixture.place(0)])
            await old.close()
            try await new.subscribe([fixture.topic])
            #expect(try await new.records(3).count == 3)
        }
    }

    @Test func nobodyHasToAskForEventsToStayAMember() async throws {
        let fixture = try Fixture(partitions: 2)
        try await fixture.fill(count: 100)
        try await withMembers(fixture, .range, drain: .zero) { old, new in
            try await old.subscribe([fixture.topic])
            _ = try await assigned(old)
            // The old member never asks again, and has records waiting; the new one gets its share even so.
            try await new.subscribe([fixture.topic])
            #expect(try await assigned(new).count == 1)
        }
    }

    @Test func partitionsComeBackWhenTheOtherLeaves() async throws {
        let fixture = try Fixture(partitions: 2)
        try await withMembers(fixture, .range) { old, new in
            try await old.subscribe([fixture.topic])
            _ = try await assigned(old)
            try await old.pause([fixture.place(0), fixture.place(1)])
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
        }
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
