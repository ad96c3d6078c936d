package import Contracts
package import Flotilla
package import Model
package import Platform
internal import Synchronization

/// A worker with everything it needs in memory: a log, a clock, a once-only memory, and an executor that runs it step by
/// step. What outlives a process outlives a worker here: log and memory stay when one dies and the next begins.
package final class Stage: Sendable {
    package let job: HandlerJob
    package let log: MemoryLog
    package let clock: ManualClock
    private let words: Log
    private let once: OnceGate?
    private let faults: FaultPlan?
    private let settings: WorkerSettings
    private let seed: UInt64?
    private let state = Mutex<Life?>(nil)

    /// A worker from its start to its end.
    package struct Life: Sendable {
        package let worker: HandlerWorker
        package let source: MemorySource
        package let executor: StepExecutor
        fileprivate let end = End()
    }

    fileprivate final class End: Sendable {
        let isOver = Atomic<Bool>(false)
    }

    package init(
        _ handler: AnyHandler, _ policies: [TopicName: ConsumerPolicy], partitions: Int = 1, faults: FaultPlan? = nil,
        seed: UInt64? = nil, retentions: [TopicName: Duration] = [:],
        log words: Log = Log(level: .error, format: .text), settings: WorkerSettings = Stage.settings
    ) {
        job = HandlerJob(handler, namespace: Namespace(), policies: policies, retentions: retentions)
        log = MemoryLog(partitions: partitions)
        let clock = ManualClock()
        self.clock = clock
        self.faults = faults
        self.words = words
        self.settings = settings
        self.seed = seed
        let deadline = policies.values.map(\.deadline).max() ?? .seconds(30)
        let memory = InMemoryOnceMemory(lease: deadline + .seconds(10)) { clock.wallMilliseconds }
        let mayProceed = policies.values.allSatisfy { $0.once.onStoreDown == .proceed }
        let remembers = policies.values.contains { $0.once.ttl != nil }
        once = remembers ? OnceGate(memory, onStoreDown: mayProceed ? .proceed : .pause) : nil
    }

    /// A worker's own, but that it looks around less often: ten minutes of a test are a few hundred looks.
    package static var settings: WorkerSettings {
        var settings = WorkerSettings()
        settings.lookInterval = 500
        return settings
    }

    package var life: Life? { state.withLock { $0 } }

    /// The worker that runs; a new one when there is none, or when the last one has died.
    @discardableResult package func start() -> Life {
        if let life, !life.end.isOver.load(ordering: .relaxed), !life.executor.hasCrashed { return life }
        let executor = StepExecutor(seed: seed)
        let source = MemorySource(
            log, group: job.namespace.group(job.name), executor: executor, faults: faults)
        let gate = once.map {
            OnceGate(
                FaultyOnceMemory($0.memory, executor: executor, faults: faults), onStoreDown: $0.onStoreDown)
        }
        let worker = HandlerWorker(
            HandlerJob(job, calledOn: executor), source: source,
            sink: MemorySink(log, clock: clock, executor: executor, faults: faults), once: gate, clock: clock,
            log: words, identity: WorkerIdentity(id: "test", build: "test"), settings: settings)
        let life = Life(worker: worker, source: source, executor: executor)
        state.withLock { $0 = life }
        WorkerTasks.$executor.withValue(executor) {
            _ = Task(executorPreference: executor) {
                // Whoever supervises it starts another one, whatever it died of.
                try? await worker.run()
                life.end.isOver.store(true, ordering: .relaxed)
            }
        }
        return life
    }

    /// Runs until nothing can happen any more without time passing.
    package func settle() async {
        while true {
            let life = start()
            await life.executor.settle()
            if !life.end.isOver.load(ordering: .relaxed), !life.executor.hasCrashed { return }
        }
    }

    /// Lets time pass, and everybody do in it what they want to.
    package func advance(by duration: Duration) async {
        let end = clock.monotonicMilliseconds + duration.milliseconds
        start().executor.runReady()
        while let due = clock.nextDue, due <= end {
            clock.move(to: due)
            start().executor.runReady()
        }
        clock.move(to: end)
        await settle()
    }

    /// Lets time pass until every record is done with and that is committed. False when that takes longer.
    package func run(within limit: Duration) async -> Bool {
        let end = clock.monotonicMilliseconds + limit.milliseconds
        await settle()
        while !isDone {
            guard let due = clock.nextDue, due <= end else { return false }
            clock.move(to: due)
            await settle()
        }
        return true
    }

    /// Whether all that its handler reads is done with and committed.
    package var isDone: Bool {
        let group = job.namespace.group(job.name)
        return log.partitions(of: job.topics.keys).allSatisfy { log.committed(group, $0) == log.end(of: $0) }
    }

    /// Has the worker finish what is under way and leave, as SIGTERM does.
    package func stop() async {
        guard let life else { return }
        life.worker.stop()
        await life.executor.settle()
        while !life.end.isOver.load(ordering: .relaxed), let due = clock.nextDue {
            clock.move(to: due)
            await life.executor.settle()
        }
    }

    /// Lets go of what is left of the worker: a task that waits for ever would keep it in memory.
    deinit {
        guard let life, !life.executor.hasCrashed else { return }
        life.worker.stop()
        life.executor.runReady()
        for _ in 0..<1000 where !life.end.isOver.load(ordering: .relaxed) {
            guard let due = clock.nextDue else { return }
            clock.move(to: due)
            life.executor.runReady()
        }
    }
}

extension HandlerJob {
    /// The same job; its handler's calls are counted by an executor, which waits for them.
    fileprivate init(_ job: HandlerJob, calledOn executor: StepExecutor) {
        let policies = Dictionary(
            job.topics.values.map { ($0.family.source, $0.policy) }, uniquingKeysWith: { first, _ in first })
        let handler: AnyHandler =
            switch job.handler {
            case .events(let handler): .events(CountedHandler(handler, executor))
            case .batches(let handler): .batches(CountedBatchHandler(handler, executor))
            case .stateful:
                preconditionFailure("a handler with state needs a Postgres, which no executor steps through")
            }
        self.init(handler, namespace: job.namespace, policies: policies, retentions: job.retentions)
    }
}

private struct CountedHandler: Handler {
    let name: HandlerName
    private let handler: any Handler
    private let executor: StepExecutor

    init(_ handler: any Handler, _ executor: StepExecutor) {
        name = handler.name
        self.handler = handler
        self.executor = executor
    }

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        try await executor.called { try await handler.handle(event, context) }
    }
}

private struct CountedBatchHandler: BatchHandler {
    let name: HandlerName
    private let handler: any BatchHandler
    private let executor: StepExecutor

    init(_ handler: any BatchHandler, _ executor: StepExecutor) {
        name = handler.name
        self.handler = handler
        self.executor = executor
    }

    func handle(_ events: [Event], _ context: Context) async throws -> [Outgoing] {
        try await executor.called { try await handler.handle(events, context) }
    }
}
