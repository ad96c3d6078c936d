import AdminPort
import Contracts
import FlotillaTesting
import Kafka
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Flotilla

/// Whether a worker says that it gets on.
@Suite struct LivenessTests: WatchedWorker {
    /// What the admin port answers to who asks whether the worker lives. There is no consumer that could have stood still,
    /// however long a test takes.
    private func livez(_ worker: HandlerWorker) async throws -> (status: Int, words: String) {
        let server = try AdminServer(
            host: "127.0.0.1", port: 0, health: Health(version: "1", probes: []),
            stuck: { WorkerPages.stuck([worker], now: worker.lastTurn) }, metrics: { _ in })
        defer { server.stop() }
        let answer = try await RawHTTPClient(port: server.port).ask("GET", "/livez")
        return (answer.status, answer.body)
    }

    @Test func aCallThatDoesNotComeBackIsAStuckPartition() async throws {
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
        #expect(try await livez(worker) == (200, "ok\n"))
        pass(stage, .seconds(4))
        #expect(worker.stuckPartitions.map(\.offset) == [1])
        let (status, words) = try await livez(worker)
        #expect(status == 503 && words.hasPrefix("tested: events 0 stands at offset 1 since 2026-01-01T00:00:0"))
        #expect(words.hasSuffix(": a call does not come back from its deadline\n"))
        let heartbeat = Heartbeat(WorkerIdentity(id: "1", build: "1"), [worker], admin: nil, pace: Pace()).json
        #expect(heartbeat.contains("\"stuck\":[\"events 0 stands at offset 1 since 2026-01-01T00:00:0"))
        hold.end()
        await stage.settle()
        #expect(try await livez(worker) == (200, "ok\n"))
    }

    /// A worker at a call that does not come back before `hold` is over.
    private func atACall(_ hold: Hold) -> Stage {
        let stage = stage(Self.policy) { _, _ in
            await hold.wait()
            return []
        }
        send(stage, "a")
        pass(stage, .seconds(1))
        return stage
    }

    /// The group does not wait for it, and the worker ends, for it keeps what it holds: its turn, a probe, a connection.
    @Test(arguments: [false, true]) func aCallThatDoesNotComeBackKeepsNobodyWaiting(isLost: Bool) async throws {
        let hold = Hold()
        let givenUp = Atomic(0)
        let stage = atACall(hold)
        let life = stage.start()
        #expect(life.worker.outstanding == 1)
        if isLost {
            life.source.lose(life.worker.assignment)
        } else {
            life.source.revoke(life.worker.assignment) { givenUp.add(1, ordering: .relaxed) }
        }
        pass(stage, .seconds(21))
        #expect(!life.source.isClosed && givenUp.load(ordering: .relaxed) == 0)
        pass(stage, .seconds(3))
        #expect(isLost || givenUp.load(ordering: .relaxed) == 1)
        #expect(life.source.isClosed)
        hold.end()
        await life.executor.settle()
    }

    @Test func aCallThatDoesNotComeBackDoesNotKeepAWorkerFromItsEnd() async throws {
        let hold = Hold()
        let stage = atACall(hold)
        let life = stage.start()
        life.worker.stop()
        pass(stage, .seconds(21))
        #expect(!life.source.isClosed)
        pass(stage, .seconds(3))
        #expect(life.source.isClosed)
        hold.end()
        await life.executor.settle()
    }

    /// One call after the other that takes nearly all of its time, for longer than a call that hangs would have.
    @Test func whoIsSlowLives() async throws {
        let slowness = Slowness()
        let calls = Atomic(0)
        let stage = stage(Self.policy) { _, _ in
            calls.add(1, ordering: .relaxed)
            await slowness.pass(.milliseconds(4900))
            return []
        }
        slowness.clock = stage.clock
        for number in 0..<40 { send(stage, "id-\(number)") }
        let worker = stage.start().worker
        for _ in 0..<19 {
            pass(stage, .seconds(10))
            #expect(try await livez(worker) == (200, "ok\n"))
        }
        #expect(calls.load(ordering: .relaxed) > 30 && worker.outstanding > 0)
        slowness.clock = nil
        await stage.advance(by: .seconds(10))
    }

    /// Strict order, so that the partition stands where it is for as long as a record is tried again.
    @Test func whoTriesAgainAndAgainLives() async throws {
        var policy = Self.policy
        policy.ordering = .partition
        policy.retry.inProcess = 100
        let calls = Atomic(0)
        let stage = stage(policy) { _, _ in
            calls.add(1, ordering: .relaxed)
            throw Refusal.retry("not yet", after: .seconds(50))
        }
        send(stage, "a", "b")
        let worker = stage.start().worker
        for _ in 0..<20 {
            await stage.advance(by: .seconds(60))
            #expect(try await livez(worker) == (200, "ok\n"))
        }
        #expect(calls.load(ordering: .relaxed) > 20 && worker.outstanding == 2)
    }

    /// Has a handler wait on the clock of its test.
    private final class Slowness: Sendable {
        private let kept = Mutex<ManualClock?>(nil)

        /// Nil is no time at all.
        var clock: ManualClock? {
            get { kept.withLock { $0 } }
            set { kept.withLock { $0 = newValue } }
        }

        func pass(_ duration: Duration) async {
            guard let clock else { return }
            await clock.sleep(until: clock.monotonicMilliseconds + duration.milliseconds)
        }
    }

    /// An outage is no reason to start a process anew.
    @Test func whoWaitsIsNotStuck() async throws {
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
        #expect(try await livez(worker).status == 200)
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
