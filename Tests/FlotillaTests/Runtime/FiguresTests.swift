import AdminPort
import Contracts
import FlotillaTesting
import HTTP
import Kafka
import Platform
import Postgres
import Synchronization
import Testing

@testable import Flotilla

/// What a worker says of itself, on a clock that the test moves.
@Suite struct FiguresTests {
    private let place = TopicPartition("events", 0)

    private static var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "tested")
        policy.retry.inProcess = 1
        policy.retry.tiers = []
        policy.deadline = .seconds(5)
        return policy
    }

    private func stage(
        _ policy: ConsumerPolicy = policy, _ settings: WorkerSettings = Stage.settings,
        _ body: @escaping @Sendable (Event, Context) async throws -> [Outgoing] = { _, _ in [] }
    ) -> Stage {
        Stage(
            .events(TestHandler("tested", body)), ["events": policy],
            log: Log(level: .error, format: .text) { _ in }, settings: settings)
    }

    private func send(_ stage: Stage, _ ids: String..., ago: Duration = .zero) {
        for id in ids {
            stage.log.append(
                ScriptedHandler.record(id, key: "key", value: "{}"),
                now: stage.clock.wallMilliseconds - ago.milliseconds)
        }
    }

    /// Has the partition stand still from the first record on.
    private func pause(_ stage: Stage) {
        stage.start().worker.follow([
            OperatorPause(handler: "tested", partition: nil, reason: "test", by: "test", at: "")
        ])
    }

    /// What was found a moment ago.
    private func lag(_ stage: Stage, _ topic: TopicName = "events") async throws -> PartitionLag {
        _ = stage.start().worker.lags
        await stage.advance(by: .seconds(10))
        return try #require(stage.start().worker.lags[TopicPartition(topic, 0)])
    }

    // MARK: Lag

    @Test func whatAnOperatorHoldsIsNotActionableAndAgesFromWhenItWasWritten() async throws {
        let stage = stage()
        pause(stage)
        await stage.settle()
        send(stage, "a", "b", ago: .seconds(3600))
        // Nobody has read them, so at first it is not known how old they are.
        #expect(try await lag(stage) == PartitionLag(records: 2, milliseconds: 0, actionable: 0, at: 10_000))
        #expect(try await lag(stage) == PartitionLag(records: 2, milliseconds: 3_620_000, actionable: 0, at: 20_000))
        stage.start().worker.follow([])
        #expect(try await lag(stage) == PartitionLag(records: 0, milliseconds: 0, actionable: 0, at: 30_000))
    }

    @Test func behindABreakerNothingIsActionable() async throws {
        var policy = Self.policy
        policy.breaker.failures = 1
        policy.breaker.cooldown = .seconds(60)
        let stage = stage(policy) { _, _ in throw Refusal.unavailable("shop", "closed") }
        send(stage, "a", "b", ago: .seconds(7))
        #expect(try await lag(stage) == PartitionLag(records: 2, milliseconds: 17_000, actionable: 0, at: 10_000))
    }

    @Test func aRetryBeforeItsTimeIsNotActionableAndHasNoAge() async throws {
        var policy = Self.policy
        policy.retry.tiers = [.minutes(10)]
        let stage = stage(policy) { _, _ in throw Refusal.retry("no") }
        send(stage, "a")
        #expect(
            try await lag(stage, "events.tested.retry.10m")
                == PartitionLag(records: 1, milliseconds: 0, actionable: 0, at: 10_000))
        #expect(try await lag(stage).records == 0)
    }

    @Test func whatAWorkerIsAtIsActionable() async throws {
        let hold = Hold()
        let stage = stage { _, _ in
            await hold.wait()
            return []
        }
        send(stage, "a", "b", "c")
        _ = stage.start().worker.lags
        pass(stage, .seconds(11))
        #expect(
            stage.start().worker.lags[place]
                == PartitionLag(records: 3, milliseconds: 10_000, actionable: 3, at: 10_000))
        hold.end()
        await stage.settle()
    }

    /// How far the handlers are behind is told with what they depend on, and fails nothing.
    @Test func healthTellsHowFarBehindAndWhereItIsWorst() async throws {
        func page(_ stage: Stage) async -> String {
            let worker = stage.start().worker
            let health = Health(version: "1", probes: [.lag { [worker] }])
            return String(decoding: await health.report().response.body, as: UTF8.self)
        }
        let stage = stage()
        pause(stage)
        await stage.settle()
        stage.start().source.silence = .coordinator
        let unknown = await page(stage)
        #expect(
            unknown.contains("\"status\":\"ok\"")
                && unknown.contains("\"lag\":{\"status\":\"unknown\",\"latency_ms\":0,"))
        stage.start().source.silence = .none
        send(stage, "a", "b", ago: .seconds(60))
        await stage.advance(by: .seconds(10))
        _ = await page(stage)
        await stage.advance(by: .seconds(10))
        let known = await page(stage)
        #expect(
            known.contains(
                "\"lag\":{\"status\":\"ok\",\"latency_ms\":0,\"records\":2,\"actionable_records\":0,\"seconds\":80.0,\"looked_seconds\":0.0,"
                    + "\"worst\":{\"handler\":\"tested\",\"topic\":\"events\",\"partition\":0,\"records\":2,\"seconds\":80.0}}"
            ),
            "\(known)")
    }

    /// What nothing was read of, of a group that has not said how far it is, is not taken for unread from the beginning.
    @Test func aCoordinatorThatIsAwayLeavesTheFiguresAsTheyWere() async throws {
        let stage = stage()
        send(stage, "a", "b")
        #expect(await stage.run(within: .seconds(60)))
        await stage.stop()
        let began = stage.clock.monotonicMilliseconds
        let life = stage.start()
        life.source.silence = .coordinator
        _ = life.worker.lags
        await stage.advance(by: .seconds(10))
        #expect(life.worker.lags[place] == nil && life.worker.lagAge == nil)
        life.source.silence = .none
        #expect(try await lag(stage).records == 0)
        life.source.silence = .coordinator
        let old = try await lag(stage)
        #expect(old.records == 0 && old.at == began + 20_000 && life.worker.lagAge == 10_000)
    }

    @Test func whoLeavesDoesNotWaitForALookThatHangs() async throws {
        let stage = stage()
        send(stage, "a")
        let life = stage.start()
        life.source.silence = .leaders
        _ = life.worker.lags
        await stage.advance(by: .seconds(10))
        await stage.stop()
        #expect(life.source.isClosed)
    }

    // MARK: What is not committed

    @Test func aCommitAgesWhileTheCoordinatorIsAway() async {
        let stage = stage()
        let life = stage.start()
        life.source.silence = .coordinator
        await stage.advance(by: .seconds(3600))
        send(stage, "a")
        await stage.settle()
        // An hour without a record is none without a commit.
        #expect(life.worker.commitAges[place] == 0)
        await stage.advance(by: .seconds(20))
        #expect(life.worker.commitAges[place] == 20_000)
        life.source.silence = .none
        await stage.advance(by: .seconds(1))
        #expect(life.worker.commitAges[place] == 0)
    }

    @Test func whatIsFinishedBehindAnUnfinishedRecordCannotBeCommittedYet() async {
        var policy = Self.policy
        policy.concurrency = 4
        policy.breaker.failures = 1
        policy.breaker.cooldown = .seconds(600)
        let isAway = Atomic(false)
        let stage = stage(policy) { event, _ in
            if event.id == "a" {
                isAway.store(true, ordering: .relaxed)
                throw Refusal.unavailable("shop", "closed")
            }
            return []
        }
        for id in ["a", "b", "c", "d"] {
            stage.log.append(ScriptedHandler.record(id, key: id, value: "{}"), now: stage.clock.wallMilliseconds)
        }
        await stage.advance(by: .seconds(240))
        #expect(isAway.load(ordering: .relaxed) && stage.start().worker.commitAges[place] == 0)
    }

    @Test func anOutputAgesFromWhenItCameIntoTheOutbox() throws {
        // Nothing is asked of it.
        let store = StateStore(
            try PostgresPool(try PostgresConfiguration(url: "postgresql://nobody@127.0.0.1:1/none")), worker: "test")
        defer { store.close() }
        let lane = StatefulLane(store)
        #expect(lane.outboxAge(now: 100_000) == nil)
        // A predecessor left it an hour ago, before this process began.
        lane.left(since: 100_000 - 3_600_000)
        #expect(lane.outboxAge(now: 100_000) == 3_600_000)
        let (first, again) = (lane.begin(7, since: 100_000 - 3_600_000), lane.begin(7, since: 100_000))
        #expect(first && !again)
        lane.left(since: nil)
        #expect(lane.begin(8, since: 100_000) && lane.outboxAge(now: 101_000) == 3_601_000)
        lane.finish(7)
        #expect(lane.outboxAge(now: 101_000) == 1000)
        lane.finish(8)
        #expect(lane.outboxAge(now: 101_000) == nil)
    }

    // MARK: Breakers

    private func metrics(_ stage: Stage) -> [String] {
        var text = MetricsText()
        text.add([stage.start().worker])
        return text.text.split(separator: "\n").map(String.init)
    }

    @Test func metricsTellTheStateOfABreaker() async {
        var policy = Self.policy
        policy.breaker.failures = 2
        policy.breaker.cooldown = .seconds(5)
        let isAway = Atomic(true)
        let stage = stage(policy) { _, _ in
            if isAway.load(ordering: .relaxed) { throw Refusal.unavailable("shop", "closed") }
            return []
        }
        func isTold(_ state: String) -> Bool {
            ["closed", "half-open", "open"].allSatisfy { each in
                metrics(stage).contains(
                    "flotilla_breaker_state{handler=\"tested\",dependency=\"shop\",state=\"\(each)\"} \(each == state ? 1 : 0)"
                )
            }
        }
        for number in 0..<10 { send(stage, "id-\(number)") }
        await stage.settle()
        #expect(isTold("closed"))
        await stage.advance(by: .milliseconds(50))
        #expect(isTold("open"))
        isAway.store(false, ordering: .relaxed)
        await stage.advance(by: .seconds(5))
        #expect(isTold("closed"))
    }

    @Test func namesThatAnAuthorMakesUpAreBounded() async {
        var policy = Self.policy
        policy.breaker.failures = 1000
        let calls = Atomic(0)
        let stage = stage(policy) { _, _ in
            let number = calls.add(1, ordering: .relaxed).newValue
            throw Refusal.unavailable("host-\(number)", "closed")
        }
        send(stage, "a")
        await stage.advance(by: .seconds(10))
        #expect(calls.load(ordering: .relaxed) > 100)
        let names = stage.start().worker.breakers.map(\.dependency)
        #expect(names.count == 33 && names.contains("other"))
    }

    // MARK: Stuck partitions

    /// Lets time pass without waiting for calls that are under way.
    private func pass(_ stage: Stage, _ duration: Duration) {
        let end = stage.clock.monotonicMilliseconds + duration.milliseconds
        stage.start().executor.runReady()
        while let due = stage.clock.nextDue, due <= end {
            stage.clock.move(to: due)
            stage.start().executor.runReady()
        }
        stage.clock.move(to: end)
        stage.start().executor.runReady()
    }

    /// A call that does not listen to its cancellation.
    private final class Hold: Sendable {
        private let state = Mutex<(isOver: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

        func wait() async {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.isOver { state.waiting.append(continuation) }
                    return state.isOver
                }
                if isOver { continuation.resume() }
            }
        }

        func end() {
            let waiting = state.withLock { state in
                state.isOver = true
                defer { state.waiting = [] }
                return state.waiting
            }
            for one in waiting { one.resume() }
        }
    }

    @Test func aCallThatDoesNotComeBackIsAStuckPartition() async {
        let hold = Hold()
        let stage = stage(Self.policy) { event, _ in
            if event.id == "b" { await hold.wait() }
            return []
        }
        send(stage, "a")
        await stage.advance(by: .seconds(1))
        send(stage, "b", "c")
        let worker = stage.start().worker
        // A deadline of five seconds, and a minute.
        pass(stage, .seconds(64))
        #expect(worker.stuckPartitions.isEmpty)
        pass(stage, .seconds(4))
        #expect(worker.stuckPartitions.map(\.offset) == [1])
        #expect(worker.stuck.first?.hasPrefix("tested: events 0 stands at offset 1 since 2026-01-01T00:00:0") == true)
        let heartbeat = Heartbeat(WorkerIdentity(id: "1", build: "1"), [worker], admin: nil, pace: Pace()).json
        #expect(heartbeat.contains("\"stuck\":[\"events 0 stands at offset 1 since 2026-01-01T00:00:0"))
        hold.end()
        await stage.settle()
        #expect(worker.stuckPartitions.isEmpty)
    }

    /// An outage is no reason to start a process anew.
    @Test func whoWaitsIsNotStuck() async {
        var policy = Self.policy
        policy.produces = ["results"]
        policy.breaker.failures = 1
        let isAway = Atomic(true)
        let stage = stage(policy) { event, _ in
            if isAway.load(ordering: .relaxed) { throw Refusal.unavailable("shop", "closed") }
            return [Outgoing(to: "results", from: event, type: "made", json: Array("{}".utf8))]
        }
        let worker = stage.start().worker
        send(stage, "a", "b")
        await stage.advance(by: .seconds(3600))
        #expect(worker.stuckPartitions.isEmpty && worker.broken == ["shop"])
        isAway.store(false, ordering: .relaxed)
        stage.log.isAway = true
        await stage.advance(by: .seconds(3600))
        #expect(worker.stuckPartitions.isEmpty && worker.outstanding == 2)
        worker.follow([OperatorPause(handler: "tested", partition: nil, reason: "test", by: "test", at: "")])
        await stage.advance(by: .seconds(3600))
        #expect(worker.stuckPartitions.isEmpty)
    }
}
