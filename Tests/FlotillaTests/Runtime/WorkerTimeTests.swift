import Contracts
import Flotilla
import FlotillaTesting
import Kafka
import Platform
import Synchronization
import Testing

/// What a worker does when: on a clock that the test moves, so that a moment is a moment.
@Suite struct WorkerTimeTests {
    /// Calls of a handler, and when they were.
    private final class Calls: Sendable {
        private let all = Mutex<[(id: String, at: Int64)]>([])

        func add(_ event: Event, _ context: Context) {
            all.withLock { $0.append((event.id, context.now.milliseconds)) }
        }
        var count: Int { all.withLock { $0.count } }
        var times: [Int64] { all.withLock { $0.map(\.at) } }
        var ids: [String] { all.withLock { $0.map(\.id) } }
    }

    private func stage(
        _ policy: ConsumerPolicy = policy, partitions: Int = 1,
        _ body: @escaping @Sendable (Event, Context) async throws -> [Outgoing]
    ) -> Stage {
        Stage(
            .events(TestHandler("tested", body)), ["events": policy], partitions: partitions,
            log: Log(level: .error, format: .text) { _ in })
    }

    private static var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "tested")
        policy.retry.inProcess = 1
        policy.retry.tiers = []
        return policy
    }

    private func send(_ stage: Stage, _ ids: String..., key: String? = "key") {
        for id in ids {
            stage.log.append(ScriptedHandler.record(id, key: key, value: "{}"), now: stage.clock.wallMilliseconds)
        }
    }

    private func committed(_ stage: Stage, _ partition: Partition = 0) -> Offset {
        stage.log.committed("flotilla.tested", TopicPartition("events", partition))
    }

    /// A handler may make a dependency's name of what an event brings; neither memory nor labels grow with that.
    @Test func dependenciesAreToldApartOnlySoFar() async {
        let calls = Calls()
        var policy = Self.policy
        policy.breaker.failures = 1000
        policy.breaker.cooldown = .milliseconds(100)
        let stage = stage(policy) { event, context in
            calls.add(event, context)
            if calls.count <= 60 { throw Refusal.unavailable("host-\(calls.count)", "is away") }
            return []
        }
        send(stage, "a")
        #expect(await stage.run(within: .seconds(3600)))
        #expect(calls.count > 60)
        let names = stage.life?.worker.breakers.map(\.dependency) ?? []
        #expect(names.count == 34 && names.contains("other") && names.last == "redis" && names.contains("host-1"))
    }

    @Test func aRetryTopicWaitsForItsTimeAndNoLonger() async {
        var policy = Self.policy
        policy.retry.tiers = [.seconds(10), .minutes(1)]
        let calls = Calls()
        let stage = stage(policy) { event, context in
            calls.add(event, context)
            throw Refusal.retry("no")
        }
        send(stage, "a")
        await stage.settle()
        #expect(calls.count == 1)
        await stage.advance(by: .milliseconds(9999))
        #expect(calls.count == 1)
        await stage.advance(by: .milliseconds(1))
        #expect(calls.count == 2)
        await stage.advance(by: .milliseconds(59_999))
        #expect(calls.count == 2)
        await stage.advance(by: .milliseconds(1))
        #expect(calls.count == 3)
        let letters = stage.log.records(of: "events.tested.dlq")
        #expect(letters.map { $0.text("dlq-reason") } == ["exhausted"])
    }

    @Test func aDeadlineEndsACall() async {
        var policy = Self.policy
        policy.deadline = .seconds(5)
        let stage = stage(policy) { _, _ in
            // Only the worker ends this: the machine's clock would take a day.
            try await Task.sleep(for: .seconds(86_400))
            return []
        }
        send(stage, "a")
        await stage.advance(by: .seconds(6))
        #expect(stage.log.records(of: "events.tested.dlq").map { $0.text("dlq-reason") } == ["timeout"])
    }

    @Test func whatIsFinishedIsCommittedOnceASecond() async {
        let stage = stage { _, _ in [] }
        send(stage, "a", "b")
        await stage.settle()
        #expect(stage.isDone == false)
        await stage.advance(by: .milliseconds(999))
        #expect(committed(stage) == 0)
        await stage.advance(by: .milliseconds(1))
        #expect(committed(stage) == 2)
    }

    @Test func aDependencyThatIsAwayIsProbedEverMoreSeldom() async {
        var policy = Self.policy
        policy.breaker.failures = 2
        policy.breaker.cooldown = .seconds(5)
        let calls = Calls()
        let isAway = Atomic(true)
        let stage = stage(policy) { event, context in
            calls.add(event, context)
            if isAway.load(ordering: .relaxed) { throw Refusal.unavailable("shop", "closed") }
            return []
        }
        for number in 0..<20 { send(stage, "id-\(number)") }
        await stage.advance(by: .seconds(40))
        let times = calls.times
        let pauses = zip(times, times.dropFirst()).map { $1 - $0 }
        // The second failure opens the breaker; then 5, 10 and 20 seconds.
        #expect(pauses == [50, 5000, 10_000, 20_000])
        #expect(stage.life?.worker.broken == ["shop"])
        isAway.store(false, ordering: .relaxed)
        #expect(await stage.run(within: .seconds(60)))
        #expect(stage.log.records(of: "events.tested.dlq").isEmpty)
        #expect(Set(calls.ids).count == 20)
    }

    /// The right to probe for one dependency is not kept by a probe that finds out that another one is missing.
    @Test func whoProbesForOneAndMissesAnotherKeepsNobodyFromProbing() async {
        var policy = Self.policy
        policy.breaker.failures = 1
        policy.breaker.cooldown = .seconds(1)
        let calls = Calls()
        let stage = stage(policy) { event, context in
            calls.add(event, context)
            switch calls.count {
            case 1: throw Refusal.unavailable("shop", "closed")
            case 2: throw Refusal.unavailable("bank", "closed")
            case _: return []
            }
        }
        send(stage, "a")
        #expect(await stage.run(within: .seconds(60)))
        #expect(calls.count == 3)
    }

    /// Four times the process dies while an event waits for what it needs: no crash of its making.
    @Test func whoWaitsWhenTheProcessDiesIsNoCrashLoop() async {
        let isAway = Atomic(true)
        let stage = stage { event, _ in
            if isAway.load(ordering: .relaxed) { throw Refusal.unavailable("shop", "closed") }
            return []
        }
        send(stage, "a")
        for _ in 0..<6 {
            await stage.advance(by: .seconds(2))
            stage.life?.executor.crash()
        }
        isAway.store(false, ordering: .relaxed)
        #expect(await stage.run(within: .seconds(300)))
        #expect(stage.log.records(of: "events.tested.dlq").isEmpty)
    }

    /// Workers that are stopped in order while the log is away: what waited for it is no crash either.
    @Test func whoWaitsForTheLogWhenWorkersStopIsNoCrashLoop() async {
        var policy = Self.policy
        policy.produces = ["results"]
        let calls = Calls()
        let stage = Stage(
            .events(
                TestHandler("tested") { event, context in
                    calls.add(event, context)
                    return [Outgoing(to: "results", from: event, json: Array("{}".utf8))]
                }), ["events": policy], log: Log(level: .error, format: .text) { _ in })
        stage.log.isAway = true
        send(stage, "a")
        for _ in 0..<6 {
            await stage.advance(by: .seconds(2))
            await stage.stop()
        }
        #expect(calls.count == 6)
        stage.log.isAway = false
        #expect(await stage.run(within: .seconds(300)))
        #expect(stage.log.records(of: "events.tested.dlq").isEmpty)
        #expect(stage.log.records(of: "results").count == 1)
    }

    @Test func whatEndsTheProcessAgainAndAgainIsADeadLetterAndNobodyElseIs() async {
        let calls = Calls()
        let current = Mutex<Stage.Life?>(nil)
        let stage = stage { event, context in
            calls.add(event, context)
            if event.id == "bomb" { current.withLock { $0 }?.executor.crash() }
            return []
        }
        send(stage, "a", "bomb", "b")
        for _ in 0..<10 {
            let life = stage.start()
            current.withLock { $0 = life }
            life.executor.runReady()
        }
        #expect(await stage.run(within: .seconds(60)))
        let letters = stage.log.records(of: "events.tested.dlq")
        #expect(letters.map { $0.text("dlq-reason") } == ["crash-loop"])
        #expect(letters.map { $0.text("ce_id") } == ["bomb"])
        #expect(calls.ids.count { $0 == "bomb" } == 4)
        #expect(calls.ids.contains("b"))
    }

    @Test func triesAreCountedOverRevocations() async {
        var policy = Self.policy
        policy.ordering = .partition
        policy.retry.inProcess = 3
        let calls = Calls()
        let stage = stage(policy) { event, context in
            calls.add(event, context)
            throw Refusal.retry("no", after: .seconds(30))
        }
        send(stage, "a")
        let place = TopicPartition("events", 0)
        for _ in 0..<6 {
            await stage.advance(by: .seconds(1))
            guard let source = stage.life?.source else { continue }
            source.revoke([place]) { source.assign([place]) }
        }
        #expect(await stage.run(within: .seconds(300)))
        #expect(calls.count == 3)
        #expect(stage.log.records(of: "events.tested.dlq").map { $0.text("__dlq.errors.delivery.count") } == ["3"])
    }

    @Test func aRevocationIsAnsweredWhenWhatIsUnderWayIsCommitted() async {
        let gate = Mutex<CheckedContinuation<Void, Never>?>(nil)
        let stage = stage { event, _ in
            if event.id == "slow" {
                await withCheckedContinuation { continuation in gate.withLock { $0 = continuation } }
            }
            return []
        }
        send(stage, "a", "slow", "b")
        let life = stage.start()
        life.executor.runReady()
        let answered = Mutex(false)
        life.source.revoke([TopicPartition("events", 0)]) { answered.withLock { $0 = true } }
        life.executor.runReady()
        #expect(answered.withLock { $0 } == false)
        gate.withLock { $0 }?.resume()
        life.executor.runReady()
        #expect(answered.withLock { $0 })
        // What was not begun is whoever's turn comes next.
        #expect(committed(stage) == 2)
    }

    @Test func anEventIsHandledOnceHoweverOftenItIsSent() async {
        let calls = Calls()
        let stage = stage(partitions: 3) { event, context in
            calls.add(event, context)
            return []
        }
        for round in 0..<4 {
            send(stage, "a", "a", "b", key: "\(round)")
            send(stage, "a", key: nil)
            if round % 2 == 1 { await stage.settle() }
        }
        #expect(await stage.run(within: .seconds(120)))
        #expect(calls.ids.sorted() == ["a", "b"])
    }
}
