internal import AdminPort
package import Contracts
internal import Kafka
package import Platform
internal import Postgres
internal import Redis
internal import Synchronization
internal import Tracing

/// A process that works for some handlers: it opens what they need, runs a `HandlerWorker` for each, tells of itself,
/// and ends in order.
///
/// All handlers share one producer and one Redis client; each has a consumer of its own, because each is a group.
package final class WorkerProcess: Sendable {
    let handlers: [AnyHandler]
    let settings: WorkSettings
    private let catalog: [HandlerName: [TopicName: ConsumerPolicy]]
    private let largest: [TopicName: Int]
    private let retentions: [TopicName: Duration]
    let log: Log
    let identity: WorkerIdentity
    private let admin: (host: String, port: UInt16)?
    /// What its clients of Kafka say of themselves.
    let clients = ClientFigures()
    private let state = Mutex(State())

    private struct State {
        var workers: [HandlerWorker] = []
        var services: [ServiceRun] = []
        var stores: [HandlerName: StateStore] = [:]
        /// What the start waits for.
        var opening: Task<Void, any Error>?
        var isStopping = false
        var tracing: Tracing?
    }

    /// Somebody wants the process to end that has not begun to work.
    private struct Stopped: Error {}

    /// Why a process cannot start, or go on.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String

        package init(_ description: String) { self.description = description }
    }

    /// `policies`: for each handler, what it reads and how; `largest`: how large a record each topic takes;
    /// `retentions`: for how long it keeps them; `admin`: where health and metrics are told.
    package init(
        _ handlers: [AnyHandler], _ settings: WorkSettings, policies: [HandlerName: [TopicName: ConsumerPolicy]],
        largest: [TopicName: Int] = [:], retentions: [TopicName: Duration] = [:],
        admin: (host: String, port: UInt16)? = nil, log: Log, build: String
    ) {
        self.admin = admin
        self.largest = largest
        self.retentions = retentions
        self.handlers = handlers
        self.settings = settings
        catalog = policies
        self.log = log
        identity = WorkerIdentity(id: UUIDValue.version7().description, build: build)
    }

    /// Works until `stop`. Throws what kept it from starting, or from going on.
    package func run() async throws {
        let tracing = settings.traces.flatMap {
            Tracing.start($0, version: identity.build, instance: identity.id, log: log)
        }
        state.withLock { $0.tracing = tracing }
        let result: Result<Void, any Error>
        do {
            do { try await work() } catch is Stopped { log.info("stopped", [("worker", identity.id)]) }
            result = .success(())
        } catch { result = .failure(error) }
        await tracing?.close()
        log.tellLeftOut()
        try result.get()
    }

    /// Nil where nothing is traced.
    var tracer: Tracer? { state.withLock { $0.tracing?.tracer } }

    private func work() async throws {
        let redis = try await openRedis()
        defer { redis?.close() }
        // From before the rest is opened: what a start waits for is to be seen.
        let pages = try await openPages(redis)
        do {
            try await work(redis, pages)
            await pages?.close()
        } catch {
            await pages?.close()
            throw error
        }
    }

    private func work(_ redis: RedisClient?, _ pages: WorkerPages?) async throws {
        let control = redis.map { ControlBoard($0, settings.namespace) }
        let stores = try await openStores()
        defer { for store in stores.values { store.close() } }
        let producer = try openProducer()
        do {
            let workers = try await open(redis, producer, stores)
            // What is to stand still must do so from the first record on.
            if let control { await follow(control, workers) }
            let isStopping = state.withLock { state in
                state.workers = workers
                return state.isStopping
            }
            if isStopping { for worker in workers { worker.stop() } }
            var fields: [Log.Field] = [
                ("handlers", handlers.map(\.name.rawValue).joined(separator: ",")), ("worker", identity.id),
            ]
            if let pages { fields.append(("admin", pages.address)) }
            log.info("working", fields)
            try await withServices(workers) { try await run(workers, control, pages) }
            await producer.close()
            log.info("stopped", [("worker", identity.id)])
        } catch {
            await producer.close()
            throw error
        }
    }

    /// Notes what is to be told of the end. True when that has come.
    func note(_ services: [ServiceRun]) -> Bool {
        state.withLock { state in
            state.services = services
            return state.isStopping
        }
    }

    /// Has `run` finish what is under way and return.
    package func stop() {
        let (workers, services, opening) = state.withLock { state in
            state.isStopping = true
            return (state.workers, state.services, state.opening)
        }
        opening?.cancel()
        for service in services { service.stop() }
        for worker in workers { worker.stop() }
    }

    /// Has workers do what operators have said.
    private func follow(_ control: ControlBoard, _ workers: [HandlerWorker]) async {
        if let pauses = await control.pauses() { for worker in workers { worker.follow(pauses) } }
        if let skips = await control.skips() { await control.forget(workers.flatMap { $0.skip(skips) }) }
    }

    private func run(_ workers: [HandlerWorker], _ control: ControlBoard?, _ pages: WorkerPages?) async throws {
        let reporter = Task { [identity] in
            guard let control else { return }
            var pace = Pace()
            while !Task.isCancelled {
                await self.follow(control, workers)
                let done = workers.map { ($0.job.name, $0.figures.done) }
                pace.note(Time.monotonicMilliseconds, done: Dictionary(done) { $0 + $1 })
                await control.report(Heartbeat(identity, workers, admin: pages?.address, pace: pace))
                try? await Task.sleep(for: .seconds(1))
            }
            await control.leave(identity)
        }
        let faults = await withTaskGroup(of: KafkaFault?.self) { group in
            for worker in workers {
                group.addTask {
                    do throws(KafkaFault) {
                        try await worker.run()
                        return nil
                    } catch {
                        // One that cannot go on takes the process with it, so that somebody starts it anew.
                        self.stop()
                        return error
                    }
                }
            }
            var faults: [KafkaFault] = []
            for await fault in group { if let fault { faults.append(fault) } }
            return faults
        }
        reporter.cancel()
        await reporter.value
        if let fault = faults.first { throw fault }
    }

    // MARK: What the admin port tells

    /// None until all that they need is there.
    var workers: [HandlerWorker] { state.withLock { $0.workers } }

    private func openPages(_ redis: RedisClient?) async throws -> WorkerPages? {
        guard let admin else { return nil }
        return try await WorkerPages(
            at: admin, settings.client, health: probes(redis), build: identity.build, of: self)
    }

    private func probes(_ redis: RedisClient?) -> [Health.Probe] {
        var probes = redis.map { [Health.Probe.redis($0)] } ?? []
        for case .stateful(let handler) in handlers {
            probes.append(
                .database(handler.name) { self.state.withLock { $0.stores[handler.name] } })
        }
        return probes
    }

    // MARK: Opening

    /// A worker for each handler, or none: those that were made are let go when another cannot be.
    private func open(
        _ redis: RedisClient?, _ producer: Producer, _ stores: [HandlerName: StateStore]
    ) async throws -> [HandlerWorker] {
        var workers: [HandlerWorker] = []
        do {
            for handler in handlers { workers.append(try worker(handler, redis, producer, stores[handler.name])) }
            return workers
        } catch {
            for worker in workers { await worker.dismiss() }
            throw error
        }
    }

    private func openRedis() async throws -> RedisClient? {
        guard let url = settings.redisURL else {
            // Settings are checked before; without a memory nobody may pass who is to have one.
            let isNeeded = catalog.values.contains { $0.values.contains { $0.once.ttl != nil } }
            guard !isNeeded else { throw Fault("REDIS_URL is not set") }
            return nil
        }
        let place = try RedisConfiguration(url: url)
        let client = try RedisClient(place)
        if let unfit = await RedisOnceMemory.unfitness(of: client) {
            client.close()
            throw Fault(unfit.reason)
        }
        if (try? await client.execute(RedisCommand("PING"))) == nil {
            log.warning("redis does not answer: what needs a memory waits for it", [("redis", place)])
        }
        return client
    }

    /// The tables of every handler with state, made where they are missing. A database that is away is waited for: it
    /// may be starting, like everything else.
    private func openStores() async throws -> [HandlerName: StateStore] {
        var stores: [HandlerName: StateStore] = [:]
        do {
            for case .stateful(let handler) in handlers {
                guard let place = settings.databases[handler.name] else {
                    throw Fault("\(handler.name) keeps state and has no database: set DATABASE_URL")
                }
                for (topic, policy) in catalog[handler.name] ?? [:] where policy.ordering != .partition {
                    throw Fault(
                        "\(handler.name) keeps state, so its events are applied in their order: say `ordering: partition` "
                            + "under its consumer in the topic file of \(topic)")
                }
                let schema = settings.namespace.schema(handler.name)
                // Postgres would cut the name off, and two handlers could meet in one schema.
                guard schema.utf8.count <= 63 else { throw Fault("the schema \(schema) has more than 63 bytes") }
                let configuration = stateful(handler, place)
                let store = StateStore(try PostgresPool(configuration), worker: identity.id)
                stores[handler.name] = store
                state.withLock { $0.stores[handler.name] = store }
                try await prepare(store, handler, configuration)
            }
            return stores
        } catch {
            for store in stores.values { store.close() }
            throw error
        }
    }

    private func prepare(
        _ store: StateStore, _ handler: any StatefulHandler, _ place: PostgresConfiguration
    ) async throws {
        var hasTold = false
        while true {
            let task = Task { try await store.prepare(handler.migrations) }
            let isStopping = state.withLock { state in
                state.opening = task
                return state.isStopping
            }
            if isStopping { task.cancel() }
            do {
                return try await task.value
            } catch _ where state.withLock({ $0.isStopping }) {
                throw Stopped()
            } catch let fault as PostgresFault where fault.isRetriable {
                if !hasTold {
                    log.warning(
                        "waiting for the database", [("handler", handler.name), ("database", place), ("error", fault)])
                }
                hasTold = true
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func openProducer() throws -> Producer {
        var configuration = ProducerConfiguration(settings.client)
        configuration.maxQueuedRecords = 500_000
        configuration.maxRecordBytes = WantedTopic.largestBytes
        // Records that time out are handed over again, behind later ones; waiting keeps them in their order.
        configuration.deliveryTimeout = .seconds(1800)
        configuration.client.tell(clients, as: "producer")
        return try Producer(configuration)
    }

    private func worker(
        _ handler: AnyHandler, _ redis: RedisClient?, _ producer: Producer, _ store: StateStore?
    ) throws -> HandlerWorker {
        let policies = catalog[handler.name] ?? [:]
        guard !policies.isEmpty else {
            throw Fault(
                "no topic file has the consumer \(handler.name): name it under consumers in \(settings.topicsFolder)")
        }
        let job = HandlerJob(
            handler, namespace: settings.namespace, policies: policies, largest: largest, retentions: retentions)
        var consuming = HandlerWorker.consuming(settings.client, group: settings.namespace.group(handler.name))
        consuming.client.hooks.fault = { [log] fault in
            log.warning("kafka", [("handler", handler.name), ("error", fault)])
        }
        consuming.client.tell(clients, as: "consumer.\(handler.name)")
        return HandlerWorker(
            job, source: try Consumer(consuming), sink: producer, once: gate(handler, policies, redis),
            store: store, log: log, identity: identity, tracer: tracer)
    }

    private func gate(
        _ handler: AnyHandler, _ policies: [TopicName: ConsumerPolicy], _ redis: RedisClient?
    ) -> OnceGate? {
        // One memory for all that a handler reads: the same event may come by two topics.
        guard let redis, let ttl = policies.values.compactMap(\.once.ttl).max() else { return nil }
        let deadline = policies.values.map(\.deadline).max() ?? .seconds(30)
        let path = policies.values.map { $0.retry.tiers.reduce(0) { $0 + $1.seconds } }.max() ?? 0
        let memory = RedisOnceMemory(
            redis, handler: handler.name, namespace: settings.namespace,
            ttl: max(ttl, .seconds(path) + deadline * 3), lease: deadline + .seconds(10))
        let mayProceed = policies.values.allSatisfy { $0.once.onStoreDown == .proceed }
        return OnceGate(memory, onStoreDown: mayProceed ? .proceed : .pause)
    }
}
