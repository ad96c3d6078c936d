internal import Contracts
package import Kafka
package import Platform
internal import Synchronization
package import Tracing

/// Reads a handler's topics as a member of its group and has the handler work them off, until it is stopped.
///
/// One task takes what the consumer has: assignments, revocations and records, a batch a partition. Each partition is a
/// `PartitionRunner`, whose lanes do the work. A second task looks around ten times a second: at deadlines, commits,
/// leases and ticks.
package final class HandlerWorker: Sendable {
    package let job: HandlerJob
    let core: WorkerCore
    let settings: WorkerSettings
    private let runnersByPlace = Mutex<[TopicPartition: PartitionRunner]>([:])
    private let ending = Ending()
    let lagWatch: LagWatch
    /// What the broker has said of source topics.
    let toldRetentions = Mutex<[TopicName: RetentionLook.Retention]>([:])
    /// When the consumer was last asked.
    private let turned = Atomic<Int64>(Time.monotonicMilliseconds)

    /// Whether the worker is to stop, and what for.
    private final class Ending: Sendable {
        private let state = Mutex<(isStopping: Bool, loop: Task<Void, Never>?, fault: KafkaFault?)>((false, nil, nil))

        var isStopping: Bool { state.withLock { $0.isStopping } }
        var fault: KafkaFault? { state.withLock { $0.fault } }

        /// What is cancelled when the worker is to stop.
        func watch(_ loop: Task<Void, Never>) {
            let isStopping = state.withLock { state in
                state.loop = loop
                return state.isStopping
            }
            if isStopping { loop.cancel() }
        }

        /// The first fault is the one that counts.
        func end(_ fault: KafkaFault? = nil) {
            state.withLock { state in
                state.isStopping = true
                state.fault = state.fault ?? fault
                return state.loop
            }?.cancel()
        }
    }

    package init(
        _ job: HandlerJob, source: any RecordSource, sink: any RecordSink, once: OnceGate?, store: StateStore? = nil,
        clock: any WorkerClock = SystemClock(), log: Log, identity: WorkerIdentity,
        settings: WorkerSettings = WorkerSettings(), tracer: Tracer? = nil
    ) {
        self.job = job
        self.settings = settings
        lagWatch = LagWatch(settings)
        let produces = Set(job.topics.values.flatMap(\.policy.produces))
        let encoder = EventEncoder(handler: job.name, namespace: job.namespace, produces: produces)
        let publisher = Publisher(sink: sink, clock: clock) { [ending] fault in
            guard fault.isFatal else {
                return log.warning("publishing has to wait", [("handler", job.name), ("error", fault)])
            }
            log.error("publishing cannot go on: this worker ends", [("handler", job.name), ("error", fault)])
            ending.end(fault)
        }
        core = WorkerCore(
            job: job,
            scope: HandlerScope(
                handler: job.handler, encoder: encoder, log: log, clock: clock,
                tracer: tracer.map { HandlerTracer($0, job.name, job.namespace.group(job.name)) }),
            source: source, publisher: publisher, once: once, store: store, identity: identity)
    }

    /// How a worker's consumer reads.
    package static func consuming(_ client: ClientConfiguration, group: GroupID) -> ConsumerConfiguration {
        var configuration = ConsumerConfiguration(client, group: group)
        // A broker is asked for one fetch at a time. One of the retry topics alone, which are mostly empty, would keep
        // what was assigned a moment later from being fetched until it is over.
        configuration.fetchWait = .milliseconds(100)
        // What waits longest has left the processor's caches when its turn comes.
        configuration.maxPrefetchedBytes = 16 << 20
        // Markers of transactions and what compaction took away lie behind the last record, and are done with as well.
        configuration.tellsEnds = true
        return configuration
    }

    package var figures: WorkerFigures { core.figures }
    package var lastTurn: Int64 { turned.load(ordering: .relaxed) }
    package var waitsForMemory: Bool { core.waitsForMemory }
    /// What is not fetched now, and why.
    package var paused: [TopicPartition: PauseReasons] { core.paused }
    /// What operators want to stand still, and why.
    package var standing: [OperatorPause] { core.standing }
    /// The dependencies that are missing, as far as is known.
    package var broken: [String] { core.broken }
    /// Failures that many events have in common.
    package var floods: [FloodAlarm.Flood] { core.floods }
    package var assignment: [TopicPartition] { runners.keys.sorted() }
    /// For how many milliseconds each partition has had something finished that is not committed.
    package var commitAges: [TopicPartition: Int64] { runners.mapValues(\.commitAge) }
    /// How long the oldest output has been in the outbox, for a handler with state.
    package var outboxAge: Int64? {
        core.store.map { _ in runners.values.compactMap { $0.stateful?.outboxAge(now: core.now) }.max() ?? 0 }
    }
    /// What the handler needs, its memory too, and whether that is there.
    package var breakers: [(dependency: String, state: String)] {
        var states = core.breakerStates
        guard core.once?.onStoreDown == .pause else { return states }
        if let own = states.firstIndex(where: { $0.dependency == "redis" }) {
            if waitsForMemory { states[own].state = "open" }
        } else {
            states.append(("redis", waitsForMemory ? "open" : "closed"))
        }
        return states
    }
    /// Partitions that get nowhere, and will not by themselves.
    package var stuckPartitions: [StuckPartition] {
        runners.sorted { $0.key < $1.key }.compactMap { $0.value.stuck(settings) }
    }
    /// What is under way in partitions.
    var work: [TopicPartition: PartitionWork] { runners.compactMapValues(\.work) }
    /// How many records were taken and are not finished.
    package var outstanding: Int { runners.values.reduce(0) { $0 + $1.outstanding } }

    /// Has stand still what operators want to, and lets go on what they no longer do.
    package func follow(_ pauses: [OperatorPause]) {
        core.follow(pauses.filter { $0.handler == job.name }, assigned: assignment)
    }

    /// Has records become dead letters that operators want skipped; those of them that are over.
    package func skip(_ skips: [OperatorSkip]) -> [OperatorSkip] {
        let mine = skips.filter { $0.handler == job.name }
        let (news, done) = core.skips.follow(mine)
        let runners = runners
        for place in news { runners[place]?.wake() }
        return done + mine.filter { skip in runners[skip.place]?.isPast(skip.offset) ?? false && !done.contains(skip) }
    }

    /// Works until `stop`, and leaves the group in order. Throws when it cannot go on at all.
    package func run() async throws(KafkaFault) {
        do throws(KafkaFault) {
            try await core.source.subscribe(Array(job.topics.keys).sorted())
        } catch {
            await dismiss()
            throw error
        }
        let keepers = lookAround()
        let loop = WorkerTasks.begin { await self.consume() }
        ending.watch(loop)
        await loop.value
        await giveUp(Array(runners.keys), within: settings.drainBudget)
        for keeper in keepers { keeper.cancel() }
        // Not after them: one may be waiting for a broker that does not answer, and the others of the group for this.
        await core.source.close(within: settings.leaveBudget)
        for keeper in keepers { await keeper.value }
        if let fault = ending.fault { throw fault }
    }

    /// Lets a worker go that will never run.
    package func dismiss() async { await core.source.close(within: .zero) }

    /// Has `run` finish what is under way and return.
    package func stop() { ending.end() }

    var runners: [TopicPartition: PartitionRunner] { runnersByPlace.withLock { $0 } }

    // MARK: What the consumer tells

    private func consume() async {
        while !ending.isStopping {
            turned.store(Time.monotonicMilliseconds, ordering: .relaxed)
            do {
                let events = try await core.source.nextAll(
                    max: settings.fetchRecords, maxBytes: settings.fetchBytes, within: .seconds(1))
                var fed: [PartitionRunner] = []
                for event in events {
                    if let runner = await hear(event) { fed.append(runner) }
                }
                await makeRoom(fed)
            } catch {
                guard error.kind != .cancelled else { return }
                return ending.end(error)
            }
        }
    }

    /// Does what an event asks for; the partition that it brought records of.
    private func hear(_ event: ConsumerEvent) async -> PartitionRunner? {
        switch event {
        case .records(let batch):
            guard let first = batch.first, let runner = runnersByPlace.withLock({ $0[first.topicPartition] }) else {
                return nil
            }
            runner.admit(batch)
            return runner
        case .assigned(let places):
            core.figures.rebalances[.assigned]?.add()
            lagWatch.assigned()
            begin(places)
        case .revoked(let revocation):
            core.figures.rebalances[.revoked]?.add()
            await giveUp(revocation.partitions, within: settings.drainBudget)
            revocation.done()
        case .lost(let places):
            core.figures.rebalances[.lost]?.add()
            lagWatch.lost(places)
            core.scope.log.warning("the group went on without this worker", [("handler", job.name)])
            await end(remove(places), within: .zero)
        case .end(let place, let offset): runnersByPlace.withLock { $0[place] }?.reached(offset)
        case .fault(let fault):
            core.scope.log.warning("consuming", [("handler", job.name), ("error", fault)])
            if fault.isFatal { ending.end(fault) }
        }
        return nil
    }

    /// Waits a moment for lanes that have enough to do, and sees to it that no more comes of partitions whose windows are
    /// full even so.
    ///
    /// Stopping to fetch drops what was fetched ahead, and all of it is fetched again. Just taking nothing costs nothing,
    /// but it holds up the other partitions and what else the consumer has to tell, so it has a limit. Who waits for the
    /// time of a retry topic, or for something that is paused, is not waited for.
    private func makeRoom(_ fed: [PartitionRunner]) async {
        let limit = core.now + settings.roomPatience
        for runner in fed {
            while runner.isBusy, runner.role.tier == nil, !core.isPaused(runner.place), core.now < limit,
                !ending.isStopping
            {
                await core.scope.clock.sleep(until: core.now + 1)
            }
            guard runner.isFull else { continue }
            core.pause(.window, runner.place)
            // Its lanes may have made room before the pause was there to be taken back.
            if runner.hasRoom { core.clear(.window, runner.place) }
        }
    }

    private func begin(_ places: [TopicPartition]) {
        var began: [PartitionRunner] = []
        for place in places {
            guard let role = job.topics[place.topic] else { continue }
            began.append(PartitionRunner(place, role, core, limits: settings.limits(role.kind)))
        }
        runnersByPlace.withLock { runners in
            for runner in began { runners[runner.place] = runner }
        }
        core.assigned(places)
        for runner in began { runner.nudge() }
    }

    /// Finishes what is under way, commits it, and forgets the partitions.
    private func giveUp(_ places: [TopicPartition], within budget: Duration) async {
        let ending = remove(places)
        guard !ending.isEmpty else { return }
        await end(ending, within: budget)
        await commit(ending)
    }

    private func remove(_ places: [TopicPartition]) -> [PartitionRunner] {
        core.revoked(places)
        return runnersByPlace.withLock { runners in places.compactMap { runners.removeValue(forKey: $0) } }
    }

    /// Drains partitions; what is not done when the time is over is left to whoever gets them next.
    ///
    /// The group does not wait for a call of the handler that does not come back even when it is told to. Such a call keeps
    /// what it holds of this worker (its turn, a probe, a connection), so the worker ends with it, and somebody starts it
    /// anew.
    private func end(_ ending: [PartitionRunner], within budget: Duration) async {
        let clock = core.scope.clock
        let limit = core.now + budget.milliseconds
        let end = core.now + settings.drainBudget.milliseconds + settings.abandonPatience
        if budget == .zero { for runner in ending { runner.abandon() } }
        let drains = ending.map { runner in
            WorkerTasks.begin {
                await runner.drain()
                await runner.tidy()
            }
        }
        let isOver = Latch()
        WorkerTasks.begin {
            for drain in drains { await drain.value }
            isOver.open()
        }
        let hurry = WorkerTasks.begin {
            await clock.sleep(until: limit)
            guard !Task.isCancelled else { return }
            for runner in ending { runner.abandon() }
            await clock.sleep(until: end)
            // Whatever else is under way ends by its own deadline.
            while !Task.isCancelled, !ending.contains(where: \.isCalling) {
                await clock.sleep(until: self.core.now + 1000)
            }
            isOver.open()
        }
        let watcher = WorkerTasks.begin {
            while !Task.isCancelled {
                await clock.sleep(until: self.core.now + self.settings.lookInterval)
                for runner in ending { runner.look(now: self.core.now) }
            }
        }
        await isOver.wait()
        hurry.cancel()
        watcher.cancel()
        for runner in ending where runner.isCalling {
            core.scope.log.error(
                "a call does not come back: its partition is given up without it, and this worker ends",
                [("handler", job.name), ("topic", runner.place.topic), ("partition", runner.place.partition)])
            guard !self.ending.isStopping else { continue }
            self.ending.end(
                KafkaFault(.closed, "a call of the handler does not come back", at: .init("give up", runner.place)))
        }
    }

    // MARK: Committing

    /// Commits what is finished. A commit that fails is made again with the next one; after a revocation the records are
    /// delivered again.
    private func commit(_ runners: [PartitionRunner]) async {
        let due = runners.compactMap { runner in runner.committable.map { (runner, $0) } }
        guard !due.isEmpty else { return }
        do {
            try await core.source.commit(due.map { PartitionOffset($0.place, $1) })
            for (runner, offset) in due { runner.committed(offset) }
        } catch {
            core.scope.log.warning("a commit failed", [("handler", job.name), ("error", error)])
        }
    }

    // MARK: Looking around

    /// What is done again and again beside the work. Each by itself, so that a broker or a Redis that hangs keeps nobody
    /// from looking at deadlines.
    private func lookAround() -> [Task<Void, Never>] {
        [
            lookAtDeadlines(),
            every(settings.commitInterval, or: settings.commitRecords) { _, runners in await self.commit(runners) },
            every(settings.renewInterval) { _, runners in
                for runner in runners { await runner.renew() }
            },
            every(settings.lagInterval) { now, runners in
                if self.lagWatch.isWanted(now: now) { await self.lagWatch.look(runners, self.core) }
            },
            every(1000) { _, runners in
                for runner in runners { runner.tick() }
                self.core.lookAtFloods()
            },
        ]
    }

    /// Where no call is under way it is looked for one less often: a worker that has nothing to do sleeps.
    private func lookAtDeadlines() -> Task<Void, Never> {
        WorkerTasks.begin { [core, settings] in
            while !Task.isCancelled {
                let isQuiet = !self.runners.values.contains { $0.isWatched }
                await core.scope.clock.sleep(until: core.now + settings.lookInterval * (isQuiet ? 5 : 1))
                let now = core.now
                for runner in self.runners.values { runner.look(now: now) }
            }
        }
    }

    /// Does something every so many milliseconds, or sooner when a partition has so many finished records.
    private func every(
        _ milliseconds: Int64, or records: Int? = nil,
        _ body: @escaping @Sendable (_ now: Int64, _ runners: [PartitionRunner]) async -> Void
    ) -> Task<Void, Never> {
        WorkerTasks.begin { [core, settings] in
            var next = core.now + milliseconds
            while !Task.isCancelled {
                // Where nothing was finished nothing can be due soon: a worker that has nothing to do sleeps.
                let isQuiet = records == nil || self.runners.values.allSatisfy { $0.uncommitted == 0 }
                await core.scope.clock.sleep(until: isQuiet ? next : min(next, core.now + settings.lookInterval))
                let now = core.now
                let runners = Array(self.runners.values)
                let isDue = now >= next || runners.contains { $0.uncommitted >= records ?? .max }
                guard isDue, !Task.isCancelled else { continue }
                next = now + milliseconds
                await body(now, runners)
            }
        }
    }
}
