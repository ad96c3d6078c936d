import Contracts
import FlotillaTesting
import Kafka
import Platform
import Synchronization

@testable import Flotilla

/// What tests need that ask a worker how it is, on a clock that they move.
protocol WatchedWorker {}

extension WatchedWorker {
    var place: TopicPartition { TopicPartition("events", 0) }

    static var policy: ConsumerPolicy {
        var policy = ConsumerPolicy(handler: "tested")
        policy.retry.inProcess = 1
        policy.retry.tiers = []
        policy.deadline = .seconds(5)
        return policy
    }

    func stage(
        _ policy: ConsumerPolicy = policy, _ settings: WorkerSettings = Stage.settings,
        _ body: @escaping @Sendable (Event, Context) async throws -> [Outgoing] = { _, _ in [] }
    ) -> Stage {
        Stage(
            .events(TestHandler("tested", body)), ["events": policy],
            log: Log(level: .error, format: .text) { _ in }, settings: settings)
    }

    func send(_ stage: Stage, _ ids: String..., ago: Duration = .zero) {
        for id in ids {
            stage.log.append(
                ScriptedHandler.record(id, key: "key", value: "{}"),
                now: stage.clock.wallMilliseconds - ago.milliseconds)
        }
    }

    /// Has the partition stand still from the first record on.
    func pause(_ stage: Stage) {
        stage.start().worker.follow([
            OperatorPause(handler: "tested", partition: nil, reason: "test", by: "test", at: "")
        ])
    }

    /// Lets time pass without waiting for calls that are under way.
    func pass(_ stage: Stage, _ duration: Duration) {
        let end = stage.clock.monotonicMilliseconds + duration.milliseconds
        stage.start().executor.runReady()
        while let due = stage.clock.nextDue, due <= end {
            stage.clock.move(to: due)
            stage.start().executor.runReady()
        }
        stage.clock.move(to: end)
        stage.start().executor.runReady()
    }
}

/// A call that does not listen to its cancellation.
final class Hold: Sendable {
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
