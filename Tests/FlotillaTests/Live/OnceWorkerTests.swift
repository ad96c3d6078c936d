import Contracts
import Flotilla
import Kafka
import Platform
import Redis
import Synchronization
import TestServers
import TestSupport
import Testing

/// Workers with a once-only memory in a real Redis, against a real broker.
@Suite(.inTurns) struct OnceWorkerTests {
    /// Counts how often each event was handled.
    private final class Tally: Sendable {
        private let counts = Mutex<[String: Int]>([:])

        func add(_ id: String) { counts.withLock { $0[id, default: 0] += 1 } }
        var all: [String: Int] { counts.withLock { $0 } }
        var total: Int { counts.withLock { $0.values.reduce(0, +) } }
    }

    private func withMemory<Result>(
        _ body: (RedisServer, RedisClient, OnceGate) async throws -> Result
    ) async throws -> Result {
        let server = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        let client = try RedisClient(try RedisConfiguration(url: server.url))
        defer { client.close() }
        let memory = RedisOnceMemory(
            client, handler: "counter", namespace: Namespace(), ttl: .seconds(1200), lease: .seconds(40))
        return try await body(server, client, OnceGate(memory, onStoreDown: .pause))
    }

    private func counter(_ tally: Tally) -> TestHandler {
        TestHandler("counter") { event, _ in
            tally.add(event.id)
            return [Outgoing(to: "counted", from: event, json: Array("{}".utf8))]
        }
    }

    private var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "counter")
        policy.produces = ["counted"]
        policy.retry.tiers = [.seconds(1)]
        return policy
    }

    private func waitUntil(_ condition: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while !condition() {
            try #require(ContinuousClock.now < end, "waited for a minute")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test(arguments: [1, 4]) func anEventThatIsRefusedAndSentAgainIsOneDeadLetter(_ concurrency: Int) async throws {
        try await Fleet.with { fleet in
            var policy = policy
            policy.concurrency = concurrency
            try await fleet.makeTopics("events", policy)
            try await withMemory { _, _, gate in
                let handler = TestHandler("counter") { event, _ in
                    if event.id.hasPrefix("bad") { throw Refusal.permanent("never") }
                    return [Outgoing(to: "counted", from: event, json: Array("{}".utf8))]
                }
                let events = (0..<100).map {
                    (id: $0 % 10 == 5 ? "bad-\($0)" : "id-\($0)", key: Optional("k\($0 % 7)"), value: "{}")
                }
                try await fleet.publish("events", events + events + events)
                try await fleet.withWorker(.events(handler), ["events": policy], once: gate) { worker in
                    try await waitUntil { worker.figures.repeats == 200 }
                }
                let letters = try await fleet.read("events.counter.dlq", count: 11, within: .seconds(1))
                #expect(letters.count == 10)
            }
        }
    }

    @Test func anEventThatIsSentAgainIsHandledOnce() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("events", policy)
            try await withMemory { _, _, gate in
                let tally = Tally()
                let events = (0..<1000).map { (id: "id-\($0)", key: Optional("k\($0 % 7)"), value: "{}") }
                try await fleet.publish("events", events)
                try await fleet.publish("events", events)
                // The same in one batch, and on another partition.
                try await fleet.publish(
                    "events", events.prefix(10).flatMap { [($0.id, nil, "{}"), ($0.id, nil, "{}")] })
                try await fleet.withWorker(.events(counter(tally)), ["events": policy], once: gate) { worker in
                    try await waitUntil {
                        worker.figures.repeats == 1020
                            && worker.figures.done == 1000
                    }
                }
                #expect(tally.all.count == 1000)
                #expect(tally.all.values.allSatisfy { $0 == 1 })
            }
        }
    }

    @Test func workersThatComeAndGoLoseNothing() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("events", policy, partitions: 4)
            try await withMemory { _, _, gate in
                let tally = Tally()
                let publishing = Task {
                    for first in stride(from: 0, to: 6000, by: 200) {
                        try await fleet.publish(
                            "events", (first..<first + 200).map { ("id-\($0)", "k\($0 % 31)", "{}") })
                    }
                }
                // One, two, one, and another one.
                try await fleet.withWorker(.events(counter(tally)), ["events": policy], once: gate) { _ in
                    try await waitUntil { tally.total > 500 }
                    try await fleet.withWorker(.events(counter(tally)), ["events": policy], once: gate) { second in
                        try await waitUntil { second.figures.done > 100 || tally.total >= 6000 }
                    }
                }
                try await fleet.withWorker(.events(counter(tally)), ["events": policy], once: gate) { _ in
                    try await publishing.value
                    try await waitUntil { tally.all.count == 6000 }
                }
                #expect(tally.all.values.allSatisfy { $0 == 1 })
                let outputs = try await fleet.read("counted", partitions: 4, count: 6000)
                #expect(Set(outputs.compactMap { $0.text("ce_id") }).count == 6000)
            }
        }
    }

    @Test func aMemoryThatIsAwayPausesTheWorkAndLosesNothing() async throws {
        try await Fleet.with { fleet in
            try await fleet.makeTopics("events", policy)
            try await withMemory { server, _, gate in
                let tally = Tally()
                try await fleet.withWorker(.events(counter(tally)), ["events": policy], once: gate) { worker in
                    try await fleet.publish("events", (0..<500).map { ("a-\($0)", "k\($0 % 7)", "{}") })
                    try await waitUntil { worker.figures.done == 500 }
                    server.kill()
                    try await fleet.publish("events", (0..<500).map { ("b-\($0)", "k\($0 % 7)", "{}") })
                    try await waitUntil { !worker.paused.isEmpty }
                    #expect(tally.total == 500)
                    try server.start()
                    try await waitUntil { worker.figures.done == 1000 }
                }
                #expect(tally.all.count == 1000)
                #expect(tally.all.values.allSatisfy { $0 == 1 })
                let dead = try await fleet.read("events.counter.dlq", count: 1, within: .milliseconds(300))
                #expect(dead.isEmpty)
            }
        }
    }

    @Test func aMissingDependencyIsNoErrorOfTheEvent() async throws {
        try await Fleet.with { fleet in
            var policy = policy
            policy.breaker.failures = 3
            policy.breaker.cooldown = .milliseconds(100)
            try await fleet.makeTopics("events", policy)
            try await withMemory { _, _, gate in
                let isDown = Atomic<Bool>(true)
                let tally = Tally()
                let handler = TestHandler("counter") { event, context in
                    if isDown.load(ordering: .relaxed) { throw Refusal.unavailable("shop", "no connection") }
                    #expect(context.attempt == 1)
                    tally.add(event.id)
                    return []
                }
                try await fleet.publish("events", (0..<300).map { ("id-\($0)", "k\($0 % 7)", "{}") })
                try await fleet.withWorker(.events(handler), ["events": policy], once: gate) { worker in
                    try await waitUntil { worker.broken == ["shop"] && !worker.paused.isEmpty }
                    isDown.store(false, ordering: .relaxed)
                    try await waitUntil { worker.figures.done == 300 }
                    #expect(worker.broken.isEmpty)
                    #expect(worker.figures.deadLettered == 0)
                    #expect(worker.figures.retried == 0)
                }
                #expect(tally.all.values.allSatisfy { $0 == 1 } && tally.all.count == 300)
            }
        }
    }
}
