import Contracts
import Flotilla
import Kafka
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

/// What a handler with state is told of partitions that bring nothing, and of those that go.
@Suite(.inTurns) struct QuietTests {
    private struct Watcher: StatefulHandler {
        let name: HandlerName = "totals"
        let ticks = true
        let seen = Seen()

        final class Seen: Sendable {
            struct State {
                var ticks: [Partition: [Timestamp?]] = [:]
                var left: Set<TopicPartition> = []
                /// What each tick is told of how far all is applied, and how many events were by then.
                var read: [Partition: [(through: Timestamp?, applied: Int)]] = [:]
                var applied: [Partition: Int] = [:]
            }

            let state = Mutex(State())

            func ticks(_ partition: Partition) -> [Timestamp?] { state.withLock { $0.ticks[partition] ?? [] } }
            var left: Set<TopicPartition> { state.withLock { $0.left } }
            func read(_ partition: Partition) -> [(through: Timestamp?, applied: Int)] {
                state.withLock { $0.read[partition] ?? [] }
            }
            func applied(_ partition: Partition) -> Int { state.withLock { $0.applied[partition] ?? 0 } }
        }

        func apply(
            _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
        ) async throws -> [Outgoing] {
            for event in events { seen.state.withLock { $0.applied[event.partition, default: 0] += 1 } }
            return []
        }

        func tick(
            _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
        ) async throws -> [Outgoing] {
            seen.state.withLock { state in
                state.ticks[partition.partition, default: []].append(context.quietSince)
                let applied = state.applied[partition.partition] ?? 0
                state.read[partition.partition, default: []].append((context.readThrough, applied))
            }
            return []
        }

        func left(_ partition: TopicPartition) { seen.state.withLock { _ = $0.left.insert(partition) } }
    }

    /// A partition is quiet from the first look that finds nothing on, and anew after it stood still.
    @Test func aPartitionThatStoodStillIsQuietAnew() async throws {
        let tests = StatefulWorkerTests()
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", tests.policy)
            try await tests.withStore { store, _ in
                let handler = Watcher()
                let seen = handler.seen
                try await fleet.withWorker(.stateful(handler), ["amounts": tests.policy], store: store) { worker in
                    try await tests.waitUntil { seen.ticks(0).count >= 3 && seen.ticks(1).count >= 3 }
                    let before = try #require(seen.ticks(0).last ?? nil)
                    #expect(seen.ticks(0).contains(before))
                    worker.follow([OperatorPause(handler: "totals", partition: 0)])
                    // The other one's ticks tell how time passes. One of this one may have been under way.
                    let others = seen.ticks(1).count
                    try await tests.waitUntil { seen.ticks(1).count >= others + 2 }
                    let count = seen.ticks(0).count
                    try await tests.waitUntil { seen.ticks(1).count >= others + 4 }
                    #expect(seen.ticks(0).count == count)
                    worker.follow([])
                    try await tests.waitUntil { seen.ticks(0).count > count }
                    let after = try #require(seen.ticks(0).last ?? nil)
                    #expect(after.milliseconds >= before.milliseconds + 2000, "\(before) \(after)")
                    // The other one was quiet all along.
                    #expect(Set(seen.ticks(1).suffix(3)).count == 1)
                    #expect(seen.left.isEmpty)
                }
                #expect(seen.left == [TopicPartition("amounts", 0), TopicPartition("amounts", 1)])
            }
        }
    }

    /// A handler that wants to know up to when everything is applied is told a time only when it is.
    @Test func whatWasReadIsKnownOnceItIsApplied() async throws {
        let tests = StatefulWorkerTests()
        try await Fleet.with { fleet in
            try await fleet.makeTopics("amounts", tests.policy)
            try await fleet.publish("amounts", (0..<5000).map { tests.event($0, "1") })
            let published = Timestamp(milliseconds: Time.wallMilliseconds)
            try await tests.withStore { store, _ in
                let handler = Watcher()
                let seen = handler.seen
                try await fleet.withWorker(.stateful(handler), ["amounts": tests.policy], store: store) { _ in
                    for partition in [Partition(0), 1] {
                        try await tests.waitUntil { seen.read(partition).count { $0.through != nil } >= 3 }
                    }
                }
                for partition in [Partition(0), 1] {
                    let ticks = seen.read(partition)
                    // The first look asks, and what it asked is told later.
                    #expect(ticks.first?.through == nil)
                    let times = ticks.compactMap(\.through)
                    #expect(times == times.sorted() && times.allSatisfy { $0 >= published })
                    for tick in ticks where tick.through != nil { #expect(tick.applied == seen.applied(partition)) }
                }
                #expect(seen.applied(0) + seen.applied(1) == 5000)
            }
        }
    }
}
