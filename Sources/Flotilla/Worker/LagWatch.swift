internal import Contracts
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// How far a worker's partitions are behind: looked at every ten seconds for as long as somebody reads the figures.
///
/// What a group has not committed is no measure of work: of a retry topic nothing can be done before its time, of a
/// partition that stands still for a dependency or an operator nothing at all, and what retention has deleted will never
/// come. So each partition tells how much waits, and whether more workers would help.
///
/// A look has one deadline for all it asks, and none of its questions may use up what the others need: who asked for it
/// first would starve them with one broker that hangs. What is not answered keeps the figures of before, and those say how
/// old they are.
final class LagWatch: Sendable {
    private let state = Mutex(State())
    private let settings: WorkerSettings

    private struct State {
        var lags: [TopicPartition: PartitionLag] = [:]
        var asked: Int64?
        /// Where nobody knows when the first record that waits was written: since when there has been one.
        var waitingSince: [TopicPartition: Int64] = [:]
        var firsts: [TopicPartition: First] = [:]
        /// Partitions that the group took away while nobody could say anything, and of which it has not said yet whose they
        /// are.
        var lost: Set<TopicPartition> = []
        var looking: Task<Void, Never>?
        var last: (at: Int64, took: Int64)?
        var isTroubled = false
    }

    /// The first record that waits of a partition of which nothing was read.
    private struct First {
        let offset: Offset
        /// When it was written, where it says.
        var written: Int64?
        var isTold = false
        /// When it was asked for last and there was none, and where the partition ended then.
        var fruitless: (at: Int64, end: Offset)?

        /// What lies between may be no record at all, but markers of transactions, or nothing that compaction left: it
        /// is asked for again when something came behind it, or after a while.
        func isToBeAsked(now: Int64, end: Offset) -> Bool {
            guard !isTold else { return false }
            return fruitless.map { $0.end != end || now - $0.at >= LagWatch.fruitlessPause } ?? true
        }
    }

    /// Nobody has asked for so long: nobody will.
    private static let attention: Int64 = 120_000
    /// Of so many partitions a look asks when their first records were written.
    private static let mostFirsts = 16
    /// For so long a first record is not asked for again that was not there.
    private static let fruitlessPause: Int64 = 300_000

    init(_ settings: WorkerSettings) { self.settings = settings }

    /// What was found last. From now on it is looked for again and again.
    func read(now: Int64) -> [TopicPartition: PartitionLag] {
        state.withLock { state in
            state.asked = now
            return state.lags
        }
    }

    /// The group went on without this worker, or nobody has answered for so long that it must have. A broker that hangs is no
    /// reason to be behind with nothing: the last figures stay until the group says whose they are.
    func lost(_ places: [TopicPartition]) { state.withLock { $0.lost.formUnion(places) } }

    /// The group has said whose everything is.
    func assigned() { state.withLock { $0.lost = [] } }

    var hasLost: Bool { state.withLock { !$0.lost.isEmpty } }

    func isWanted(now: Int64) -> Bool { state.withLock { $0.asked.map { now - $0 < Self.attention } ?? false } }

    /// When the last look was over, and how long it took.
    var last: (at: Int64, took: Int64)? { state.withLock { $0.last } }

    /// Looks at how far they are behind; who comes while somebody looks waits for that.
    func look(_ runners: [PartitionRunner], _ core: WorkerCore) async {
        let looking = state.withLock { state in
            if let looking = state.looking { return looking }
            let looking = WorkerTasks.begin {
                await self.ask(runners.filter { $0.mode == .open }, core)
                self.state.withLock { $0.looking = nil }
            }
            state.looking = looking
            return looking
        }
        await looking.value
    }

    private func ask(_ runners: [PartitionRunner], _ core: WorkerCore) async {
        let began = core.now
        let limit = began + settings.lagPatience.milliseconds
        func left() -> Duration { .milliseconds(max(1, limit - core.now)) }
        var trouble: KafkaFault?
        var marks: [TopicPartition: Watermarks] = [:]
        // Nil where the group's coordinator did not say: that nothing was committed is another answer.
        var committed: [TopicPartition: Offset]? = [:]
        let unread = runners.filter { $0.standing.position == nil }.map(\.place)
        do {
            if !unread.isEmpty { committed = try await core.source.committed(unread, within: left() / 3) }
        } catch { (committed, trouble) = (nil, error) }
        do {
            if !runners.isEmpty {
                marks = try await core.source.bounds(of: runners.map(\.place), within: left() * 2 / 3)
            }
        } catch { trouble = error }

        var waiting: [Waiting] = []
        var kept: [TopicPartition] = []
        for runner in runners {
            let (position, oldest) = runner.standing
            guard let marks = marks[runner.place], position != nil || committed != nil else {
                kept.append(runner.place)
                continue
            }
            let next = max(position ?? committed?[runner.place] ?? marks.low, marks.low)
            waiting.append(Waiting(runner: runner, next: next, end: marks.high, oldest: oldest))
        }
        await askForFirsts(waiting, core, within: left())
        var found = waiting.reduce(into: [TopicPartition: PartitionLag]()) { $0[$1.runner.place] = lag(of: $1, core) }
        let isNews = state.withLock { state in
            for place in state.lost.union(kept) where found[place] == nil { found[place] = state.lags[place] }
            state.lags = found
            state.waitingSince = state.waitingSince.filter { found[$0.key] != nil }
            state.last = (core.now, core.now - began)
            defer { state.isTroubled = trouble != nil || !kept.isEmpty }
            return state.isTroubled != (trouble != nil || !kept.isEmpty)
        }
        guard isNews else { return }
        let name = ("handler", core.job.name) as Log.Field
        if kept.isEmpty, trouble == nil {
            core.scope.log.info("how far behind it is is known again", [name])
        } else {
            core.scope.log.warning(
                "how far behind it is is not known: the last figures stay",
                [name, ("partitions", kept.count), ("error", trouble.map { "\($0)" } ?? "no answer for them")])
        }
    }

    private struct Waiting {
        let runner: PartitionRunner
        let next: Offset
        let end: Offset
        /// When the first record was written, where it was read.
        let oldest: Int64?

        var count: Int64 { max(0, end.rawValue &- next.rawValue) }
    }

    /// Asks when the first records of partitions were written of which nothing is read and nothing was at the last look
    /// either: those that somebody reads will say it themselves in a moment.
    private func askForFirsts(_ all: [Waiting], _ core: WorkerCore, within limit: Duration) async {
        let now = core.now
        let wanted = state.withLock { state in
            var firsts: [TopicPartition: First] = [:]
            var wanted: [Waiting] = []
            for one in all where one.count > 0 && one.oldest == nil {
                let known = state.firsts[one.runner.place].flatMap { $0.offset == one.next ? $0 : nil }
                firsts[one.runner.place] = known ?? First(offset: one.next)
                if let known, known.isToBeAsked(now: now, end: one.end) { wanted.append(one) }
            }
            state.firsts = firsts
            return wanted
        }
        guard !wanted.isEmpty else { return }
        // Which ones is left to chance, so that some that do not answer do not keep the others from being asked.
        let asked = wanted.count <= Self.mostFirsts ? wanted : Array(wanted.shuffled().prefix(Self.mostFirsts))
        let records = Dictionary(asked.map { ($0.runner.place, $0.next) }) { first, _ in first }
        guard let times = try? await core.source.times(of: records, within: limit) else { return }
        state.withLock { state in
            for one in asked {
                let place = one.runner.place
                guard state.firsts[place]?.offset == one.next else { continue }
                switch times[place] {
                case .written(let time)?:
                    state.firsts[place]?.written = time
                    state.firsts[place]?.isTold = true
                case .noRecord?: state.firsts[place]?.fruitless = (now, one.end)
                // It may come the next time.
                case nil: break
                }
            }
        }
    }

    private func lag(of waiting: Waiting, _ core: WorkerCore) -> PartitionLag {
        let (runner, count) = (waiting.runner, waiting.count)
        let (place, now, wall) = (runner.place, core.now, core.wallNow)
        let (since, first) = state.withLock { state -> (Int64?, Int64?) in
            guard count > 0 else {
                state.waitingSince[place] = nil
                return (nil, nil)
            }
            let since = state.waitingSince[place] ?? now
            state.waitingSince[place] = since
            return (since, state.firsts[place]?.written)
        }
        guard let since else { return PartitionLag(records: 0, milliseconds: 0, actionable: 0, at: now) }
        // A record of which nobody knows when it was written is as old as its being there, at least.
        var age = (waiting.oldest ?? first).map { max(0, wall - $0) } ?? now - since
        var actionable = count
        if let tier = runner.role.tier {
            actionable = Int64(runner.due(writtenBy: wall - tier.delay.milliseconds))
            age = max(0, age - tier.delay.milliseconds)
        }
        let paused = core.paused[place] ?? []
        if paused.contains(.breaker) || paused.contains(.operator) { actionable = 0 }
        return PartitionLag(records: count, milliseconds: age, actionable: actionable, at: now)
    }
}

/// How far a partition is behind.
package struct PartitionLag: Hashable, Sendable {
    /// Records that the log has and that are not finished.
    package let records: Int64
    /// For how long the oldest of them has waited; in a retry topic since its time came.
    package let milliseconds: Int64
    /// Those of them that a worker could do something about now.
    package let actionable: Int64
    /// When that was found, by the worker's clock.
    package let at: Int64
}

extension HandlerWorker {
    /// How far each partition is behind, as far as was found when it was asked for before.
    package var lags: [TopicPartition: PartitionLag] { lagWatch.read(now: core.now) }

    /// For how many milliseconds nobody has looked at the partition that was looked at the longest ago; nil before the
    /// first look.
    package var lagAge: Int64? { lagWatch.read(now: core.now).values.map(\.at).min().map { max(0, core.now - $0) } }

    /// How far each partition is behind, looked at now unless that was done a moment ago, and how long the look took.
    package func lookAtLag() async -> (lags: [TopicPartition: PartitionLag], took: Int64) {
        let (runners, known) = (runners, lags)
        // What was assigned since has no figures yet.
        let isRecent = lagWatch.last.map { core.now - $0.at < 1000 } ?? false
        if !isRecent || runners.keys.contains(where: { known[$0] == nil }) {
            await lagWatch.look(Array(runners.values), core)
        }
        return (lags, lagWatch.last?.took ?? 0)
    }
}
