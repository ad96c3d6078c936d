import Glibc
import Kafka
import LocalBroker
import MockCluster
import Platform
import TestSupport
import Testing

/// Members come and go at random while their group is still about the last ones, so that closing meets every state that a
/// membership can be in. librdkafka waits without a limit for its own thread, so what is proved is that it ends at all.
///
/// In processes of their own: a thread that hangs cannot be cancelled, but its process can be killed.
@Suite(.serialized, .timeLimit(.minutes(4))) struct ClosingRaceTests {
    /// Far more than it takes; the signal that ends it is the failure.
    private static let patience: UInt32 = 100

    @Test(arguments: TestDice.seeds(1))
    func membersOfAnEagerGroupCloseWheneverTheyWant(seed: UInt64) async {
        await #expect(processExitsWith: .success) { [seed] in
            alarm(ClosingRaceTests.patience)
            try await ClosingRaceTests.comeAndGo(.range, rounds: 40, seed)
        }
    }

    /// Older ones abort the process when a cooperative member is destroyed that has joined and was never assigned anything.
    private static let survivesCooperation =
        !KafkaLibrary.version.split(separator: ".").compactMap { Int($0) }.lexicographicallyPrecedes([2, 2])

    @Test(.enabled(if: survivesCooperation, "librdkafka 2.2 or newer"), arguments: TestDice.seeds(1))
    func membersOfACooperativeGroupCloseWheneverTheyWant(seed: UInt64) async {
        await #expect(processExitsWith: .success) { [seed] in
            alarm(ClosingRaceTests.patience)
            try await ClosingRaceTests.comeAndGo(.cooperativeSticky, rounds: 15, seed)
        }
    }

    /// Four members at a time, each of them again and again, in a group of three partitions: one of them has none.
    private static func comeAndGo(
        _ strategy: ConsumerConfiguration.Strategy, rounds: Int, _ seed: UInt64
    ) async throws {
        let topic = TopicName("t")
        try await BrokerFixture.with { fixture in
            try await fixture.withAdmin { _ = try await $0.create([NewTopic(topic, partitions: 3)]) }
            try await fixture.fill(topic, count: 100, timestamp: 1_700_000_000_000)
            try await withThrowingTaskGroup { group in
                for member in 0..<4 {
                    group.addTask {
                        var dice = TestDice(seed: seed &+ UInt64(member))
                        for _ in 0..<rounds {
                            var configuration = ConsumerConfiguration(fixture.client, group: "g")
                            configuration.strategy = strategy
                            configuration.sessionTimeout = .seconds(6)
                            configuration.fetchWait = .milliseconds(20)
                            try await join(configuration, topic, &dice)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// One member's life: it joins, sees some events, answers some revocations, and closes.
    private static func join(
        _ configuration: ConsumerConfiguration, _ topic: TopicName, _ dice: inout TestDice
    ) async throws {
        let consumer = try Consumer(configuration)
        try await consumer.subscribe([topic])
        var kept: [Revocation] = []
        for _ in 0..<Int.random(in: 0..<6, using: &dice) {
            let patience = Duration.milliseconds(Int.random(in: 0..<60, using: &dice))
            switch try await consumer.next(max: 10, within: patience) {
            case .revoked(let revocation): if dice.chance(70) { revocation.done() } else { kept.append(revocation) }
            case .records(let batch): if dice.chance(50) { consumer.commitLater(batch.nextOffsets) }
            case .assigned(let places): if dice.chance(30) { try await consumer.pause(places) }
            case .lost, .end, .fault, nil: break
            }
        }
        if dice.chance(10) { try await consumer.unsubscribe() }
        await consumer.close(within: dice.chance(20) ? .zero : .seconds(10))
    }
}
