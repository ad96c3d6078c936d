internal import AdminPort
internal import Contracts
internal import Flotilla
package import Kafka
package import Model
package import Platform
package import Postgres
internal import Redis
internal import Synchronization

/// The process of `flotilla work deadletters`: it follows the dead letters, replays them, and tells of itself as every
/// worker does.
///
/// It is no handler. A handler's own failures end in dead letters, and this one's would end in those that it reads; so
/// whatever fails here pauses it, is told, and is begun again from what the index says. Of several processes one works and
/// the others stand by.
package final class DeadLettersProcess: Sendable {
    package struct Place: Sendable {
        let client: ClientConfiguration
        let database: PostgresConfiguration
        let redisURL: String?
        let namespace: Namespace
        let admin: (host: String, port: UInt16)?

        package init(
            client: ClientConfiguration, database: PostgresConfiguration, redisURL: String?, namespace: Namespace,
            admin: (host: String, port: UInt16)?
        ) {
            self.client = client
            self.database = database
            self.redisURL = redisURL
            self.namespace = namespace
            self.admin = admin
        }
    }

    private let place: Place
    private let log: Log
    private let identity: WorkerIdentity
    private let service: HandlerService
    private let index: DeadLetterIndex
    private let follower: DeadLetterFollower
    private let flag: PauseFlag
    private let state = Mutex(State())

    private struct State {
        /// Why it does not work at the moment.
        var obstacle: String? = "starting"
        /// Another process works, and this one takes over when that is gone: it is ready for that.
        var standsBy = false
        /// Whether it has the lease, and does what goes with that.
        var follows = false
        var pause: OperatorPause?
        var opening: Task<Void, any Error>?
        var isStopping = false
    }

    package init(_ place: Place, log: Log, build: String) throws(PostgresFault) {
        self.place = place
        self.log = log
        identity = WorkerIdentity(id: UUIDValue.version7().description, build: build)
        var database = place.database
        database.schema = place.namespace.schema(.deadLetters)
        database.applicationName = "flotilla deadletters"
        // Changes of a great many at once take their time.
        database.statementTimeout = .seconds(120)
        let pool = try PostgresPool(database)
        let flag = PauseFlag()
        service = HandlerService(pool, log: log, worker: identity.id) { flag.isSet }
        self.flag = flag
        index = DeadLetterIndex(pool)
        follower = DeadLetterFollower(index, place.client, place.namespace, service)
    }

    /// What an operator says, for those who may not wait to ask.
    private final class PauseFlag: Sendable {
        private let value = Atomic<Bool>(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set(_ isSet: Bool) { value.store(isSet, ordering: .relaxed) }
    }

    /// Works until `stop`. Throws what keeps it from starting.
    package func run() async throws {
        defer { index.pool.close() }
        let redis = try place.redisURL.map { try RedisClient(RedisConfiguration(url: $0)) }
        defer { redis?.close() }
        try await Admin.use(place.client, patience: .seconds(2)) { try await run(redis, $0) }
    }

    /// Has `run` finish what is under way and return.
    package func stop() {
        let opening = state.withLock { state in
            state.isStopping = true
            return state.opening
        }
        opening?.cancel()
        service.end()
    }

    private func run(_ redis: RedisClient?, _ admin: Admin) async throws {
        let pages = try openPages(redis, admin)
        defer { pages?.stop() }
        let board = redis.map { ControlBoard($0, place.namespace) }
        let reporter = Task { await report(board, admin: pages?.address) }
        let result: Result<Void, any Error>
        do {
            try await prepare()
            var fields: [Log.Field] = [("handlers", HandlerName.deadLetters), ("worker", identity.id)]
            if let pages { fields.append(("admin", pages.address)) }
            log.info("working", fields)
            await work(board)
            result = .success(())
        } catch { result = .failure(error) }
        reporter.cancel()
        await reporter.value
        try result.get()
        log.info("stopped", [("worker", identity.id)])
    }

    /// Makes the tables; a database that is away is waited for.
    private func prepare() async throws {
        var hasTold = false
        while true {
            let task = Task { try await index.prepare() }
            let isStopping = state.withLock { state in
                state.opening = task
                return state.isStopping
            }
            if isStopping { task.cancel() }
            do {
                return try await task.value
            } catch _ where state.withLock({ $0.isStopping }) {
                return
            } catch let fault as PostgresFault where fault.isRetriable {
                if !hasTold {
                    log.warning("waiting for the database", [("database", place.database), ("error", fault)])
                }
                hasTold = true
                note("postgres: \(fault.reason)")
                await service.nap(.milliseconds(500))
            }
        }
    }

    // MARK: Work

    private func work(_ board: ControlBoard?) async {
        var pause: Int64 = 500
        while !service.isEnding {
            let began = Time.monotonicMilliseconds
            do {
                if let lease = try await WorkLease.take(index, for: identity.id) {
                    note(nil)
                    log.info("follows the dead letters", [("worker", identity.id)])
                    state.withLock { $0.follows = true }
                    let result = await attempt(lease, board)
                    state.withLock { $0.follows = false }
                    await lease.release()
                    try result.get()
                } else {
                    note(nil, standsBy: true)
                    follower.gauges.look.withLock { $0 = nil }
                    await service.nap(.seconds(1))
                    continue
                }
            } catch {
                guard !service.isEnding else { return }
                // One that worked for a while and then failed is begun again at once.
                pause = Time.monotonicMilliseconds - began > 60_000 ? 500 : min(pause * 2, 15_000)
                let text = ErrorText.line("\(error)", bytes: 512)
                note(text)
                // Another process may follow them by now, and tells what is. What passes is no reason to tell nothing.
                if pause >= 8000 { follower.gauges.look.withLock { $0 = nil } }
                log.error("the dead letters are not followed; trying again", [("error", text), ("in", "\(pause) ms")])
                await service.nap(.milliseconds(pause))
            }
        }
    }

    /// All that the holder of the lease does, until it ends or one of it fails.
    private func attempt(_ lease: WorkLease, _ board: ControlBoard?) async -> Result<Void, any Error> {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.follower.follow() }
                group.addTask { await RetentionWatch(follower: self.follower).watch() }
                if let board { group.addTask { await SkipWatch(follower: self.follower, board: board).watch() } }
                group.addTask { try await ReplayRunner(self.follower, lease).run() }
                group.addTask {
                    while !self.service.isEnding, !Task.isCancelled {
                        try await lease.renew()
                        await self.service.nap(WorkLease.beat)
                    }
                }
                while try await group.next() != nil {}
            }
            return .success(())
        } catch { return .failure(error) }
    }

    private func note(_ obstacle: String?, standsBy: Bool = false) {
        state.withLock { state in
            state.obstacle = obstacle
            state.standsBy = standsBy
        }
    }

    /// Why it does not do all that it is to.
    private var obstacles: [String] {
        state.withLock { $0.obstacle }.map { [$0] } ?? follower.troubles
    }

    // MARK: Telling

    private func openPages(_ redis: RedisClient?, _ admin: Admin) throws -> AdminServer? {
        guard let (host, port) = place.admin else { return nil }
        let index = index
        var probes: [Health.Probe] = [.kafka(admin)]
        if let redis { probes.append(.redis(redis)) }
        probes.append(Health.Probe("postgres.deadletters") { await index.pool.trouble(within: .seconds(2)) })
        let health = Health(
            version: identity.build, probes: probes, obstacles: { [self] in obstacles },
            standsBy: { [self] in state.withLock { $0.standsBy } })
        return try AdminServer(host: host, port: port, health: health) { [self] in
            let (follows, standsBy) = state.withLock { ($0.follows, $0.standsBy) }
            follower.gauges.write(to: &$0, follows: follows, standsBy: standsBy)
            $0.add(follower.clients)
        }
    }

    private func report(_ board: ControlBoard?, admin: String?) async {
        guard let board else { return }
        var pace = Pace()
        while !Task.isCancelled {
            pace.note(Time.monotonicMilliseconds, done: [.deadLetters: follower.gauges.taken])
            if let pauses = await board.pauses() {
                let pause = pauses.first { $0.handler == .deadLetters && $0.partition == nil }
                flag.set(pause != nil)
                state.withLock { $0.pause = pause }
            }
            let (pause, standsBy) = state.withLock { ($0.pause, $0.standsBy) }
            await board.report(
                Heartbeat(identity, admin: admin, cores: pace.cores) { list in
                    list.object { json in
                        follower.gauges.write(to: &json, pause: pause, obstacles: obstacles, standsBy: standsBy)
                        json.member("rate", ((pace.rates[.deadLetters] ?? 0) * 10).rounded() / 10)
                    }
                })
            try? await Task.sleep(for: .seconds(1))
        }
        await board.leave(identity)
    }
}
