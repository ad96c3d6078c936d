import Contracts
import Flotilla
import FlotillaTesting
import Kafka
import Platform
import Testing

/// How a worker is set up for a run of the scripted handler.
struct Setup: CustomTestStringConvertible, CustomStringConvertible, Sendable {
    var remembers: Bool
    var ordering: ConsumerPolicy.Ordering = .none
    var concurrency = 1
    var partitions = 1
    var inBatches = false

    var description: String {
        "once \(remembers), ordering \(ordering), concurrency \(concurrency), partitions \(partitions), batches \(inBatches)"
    }
    var testDescription: String { description }

    static let all = [
        Setup(remembers: true), Setup(remembers: false),
        Setup(remembers: true, ordering: .partition), Setup(remembers: false, ordering: .partition),
        Setup(remembers: true, concurrency: 3, partitions: 2), Setup(remembers: true, inBatches: true),
    ]

    var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "scripted")
        policy.produces = ["results"]
        policy.ordering = ordering
        policy.concurrency = concurrency
        policy.retry.tiers = ordering == .none ? [.seconds(1), .seconds(3)] : []
        policy.breaker.failures = 2
        policy.breaker.cooldown = .seconds(1)
        if !remembers { policy.once.ttl = nil }
        return policy
    }

    /// A log with all the records, and nobody who reads it yet.
    func begin(_ faults: FaultPlan?, seed: UInt64? = nil, outage: Int = 4) -> (stage: Stage, handler: ScriptedHandler) {
        let handler = ScriptedHandler(outage: outage)
        var settings = Stage.settings
        // Time passes here while nobody's turn comes: that is no call that hangs, which ends a worker and counts as a death.
        settings.abandonPatience = 1 << 40
        let stage = Stage(
            inBatches ? .batches(ScriptedHandler.Batches(handler: handler)) : .events(handler), ["events": policy],
            partitions: partitions, faults: faults, seed: seed,
            // What a worker warns of here is what the test wanted.
            log: Log(level: .error, format: .text) { _ in }, settings: settings)
        for record in ScriptedHandler.records { stage.log.append(record, now: stage.clock.wallMilliseconds) }
        return (stage, handler)
    }

    /// A run to its end.
    func run(_ faults: FaultPlan?) async throws -> (stage: Stage, handler: ScriptedHandler) {
        let (stage, handler) = begin(faults)
        let isDone = await stage.run(within: .seconds(300))
        try #require(isDone, "not done in five minutes")
        return (stage, handler)
    }
}
