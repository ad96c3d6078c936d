internal import Contracts
internal import Kafka
internal import Platform
internal import Synchronization

/// One assigned partition: the records that wait, the ledger of what is finished, and the lanes that work.
///
/// Records come in by `admit`, on the worker's loop, and go to lanes: one when order is strict or nothing was asked for,
/// else so many, each key always to the same. A lane is a task only while it has something to do. How a piece of work
/// is done is in `Lane…` beside this file; here is what all of them share.
final class PartitionRunner: Sendable {
    let place: TopicPartition
    let role: TopicRole
    let core: WorkerCore
    let figures: TopicFigures
    /// What a handler with state needs to remember of the partition; nil for others.
    let stateful: StatefulLane?
    let state: Mutex<State>
    /// Whether its mode is open, for those who ask at every call of the handler: a lock would cost more than the answer.
    private let open = Atomic<Bool>(true)

    /// What the partition's lanes may still do.
    enum Mode: Sendable {
        case open
        /// What is under way is finished, nothing is begun.
        case draining
        /// Somebody else has the partition, or the process ends: nothing is finished any more.
        case abandoned
    }

    struct State: ~Copyable {
        var ledger: OffsetLedger
        var queues: [LaneQueue]
        var mode = Mode.open
        /// Since when there is something to commit.
        var committableSince: Int64?
        /// Lanes and retries at work.
        var busy = 0
        var sleepers: [UInt64: Task<Void, Never>] = [:]
        var watches: [UInt64: CallWatch] = [:]
        /// When records that failed are tried again for which somebody waits here.
        var tries: [UInt64: Int64] = [:]
        var lastToken: UInt64 = 0
        var whenIdle: [CheckedContinuation<Void, Never>] = []
        var owner: OnceOwner?
        var takingOver: Task<Result<OnceOwner, OnceFault>, Never>?
        /// What the once-only memory granted and has not heard of since, by ticket.
        var holds: [UInt64: OnceHold] = [:]
        /// Tickets whose hold the memory does not know any more.
        var stale: Set<UInt64> = []
        /// Which record of this partition has an event's id: the memory cannot tell two of them from one that is asked
        /// for twice.
        var keys: [OnceKey: UInt64] = [:]
    }

    init(_ place: TopicPartition, _ role: TopicRole, _ core: WorkerCore, limits: OffsetLedger.Limits) {
        self.place = place
        self.role = role
        self.core = core
        figures = core.figures.figures(of: place.topic, role)
        stateful = core.store.map { StatefulLane($0) }
        let lanes = role.policy.ordering == .partition ? 1 : max(1, role.policy.concurrency)
        state = Mutex(
            State(ledger: OffsetLedger(limits), queues: Array(repeating: LaneQueue(), count: lanes)))
    }

    var mode: Mode { state.withLock { $0.mode } }
    var isOpen: Bool { open.load(ordering: .acquiring) }
    /// Whether what is under way may still be finished.
    var mayFinish: Bool { mode != .abandoned }

    // MARK: Records in

    /// Takes records in and has lanes go on.
    func admit(_ batch: RecordBatch) {
        let woken = state.withLock { state -> [Int] in
            guard state.mode == .open else { return [] }
            let tickets = state.ledger.admit(batch)
            var woken: [Int] = []
            if state.queues.count == 1 {
                state.queues[0].append(LaneSlice(batch, from: tickets.lowerBound))
                if state.queues[0].start() { woken.append(0) }
            } else {
                var shares = [[Int32]](repeating: [], count: state.queues.count)
                for (index, record) in batch.enumerated() {
                    shares[LaneChoice.lane(for: record, of: shares.count)].append(Int32(truncatingIfNeeded: index))
                }
                for (lane, share) in shares.enumerated() where !share.isEmpty {
                    state.queues[lane].append(LaneSlice(batch, share, from: tickets.lowerBound))
                    if state.queues[lane].start() { woken.append(lane) }
                }
            }
            state.busy += woken.count
            return woken
        }
        for lane in woken { run(lane) }
    }

    /// Has the lane's task look for something to do although no record came: a tick, or what its state left over.
    func nudge() {
        let starts = state.withLock { state in
            guard state.mode == .open, state.queues[0].start() else { return false }
            state.busy += 1
            return true
        }
        if starts { run(0) }
    }

    private func run(_ lane: Int) {
        WorkerTasks.begin { [self] in
            if let stateful, case .stateful(let handler) = core.job.handler {
                await runStateful(handler, stateful)
            } else {
                await runPlain(lane)
            }
        }
    }

    /// The next records of a lane, at most so many; nil ends the lane's task.
    func take(_ lane: Int, max: Int) -> [WorkItem]? {
        state.withLock { state in
            guard state.mode == .open else {
                state.queues[lane].isRunning = false
                return nil
            }
            if let items = state.queues[lane].take(max) { return items }
            state.queues[lane].isRunning = false
            return nil
        }
    }

    /// Puts records back in front of a lane, which looks at them again.
    func putBack(_ items: [WorkItem], _ lane: Int) {
        let starts = state.withLock { state in
            state.queues[lane].putBack(items)
            guard state.mode == .open, state.queues[lane].start() else { return false }
            state.busy += 1
            return true
        }
        if starts { run(lane) }
    }

    /// The log had no more than what was admitted.
    func reached(_ end: Offset) {
        let now = core.now
        state.withLock { state in
            guard state.mode == .open else { return }
            state.ledger.reached(end)
            if state.committableSince == nil, state.ledger.committable != nil { state.committableSince = now }
        }
    }

    // MARK: Work that is done

    /// Notes records as finished; goes on fetching when there is room again.
    func finish(_ tickets: some Sequence<UInt64>) {
        let now = core.now
        let hasRoom = state.withLock { state in
            for ticket in tickets { _ = state.ledger.finish(ticket) }
            if state.committableSince == nil, state.ledger.committable != nil { state.committableSince = now }
            return state.ledger.hasRoom
        }
        if hasRoom { core.clear(.window, place) }
    }

    /// The offset to commit, when there is a new one.
    var committable: Offset? { state.withLock { $0.ledger.committable } }

    /// Whether it is finished, and everything before it.
    func isPast(_ offset: Offset) -> Bool { state.withLock { $0.ledger.isPast(offset) } }

    func committed(_ offset: Offset) {
        let now = core.now
        state.withLock { state in
            state.ledger.committed(offset)
            state.committableSince = state.ledger.committable == nil ? nil : now
        }
    }

    /// For how long something could have been committed and was not, in milliseconds.
    var commitAge: Int64 {
        let now = core.now
        return state.withLock { state in state.committableSince.map { max(0, now - $0) } ?? 0 }
    }

    /// Where its work stands: from where on something is left to do, and when the first of it was written.
    var standing: (position: Offset?, oldest: Int64?) { state.withLock { ($0.ledger.position, $0.ledger.oldest) } }

    /// How many records are here whose time to be tried again has come. `time`: when the last of them was written.
    func due(writtenBy time: Int64) -> Int { state.withLock { $0.ledger.unfinished(through: time) } }

    /// How many records were finished since the last commit.
    var uncommitted: Int { state.withLock { $0.ledger.finishedSinceCommit } }

    /// Whether its lanes have enough to do for now.
    var isBusy: Bool { state.withLock { $0.ledger.isBusy && $0.mode == .open } }

    /// Whether the window is full.
    var isFull: Bool { state.withLock { $0.ledger.isFull } }

    /// Whether fetching may go on after the window was full.
    var hasRoom: Bool { state.withLock { $0.ledger.hasRoom } }

    var outstanding: Int { state.withLock { $0.ledger.outstanding } }

    // MARK: Work under way

    /// One more piece of work beside the lanes: a record that is tried again by itself.
    @discardableResult func beside(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        state.withLock { $0.busy += 1 }
        return WorkerTasks.begin {
            await body()
            self.rest()
        }
    }

    /// A lane's task, or a piece of work beside it, is over.
    func rest() {
        let waiting = state.withLock { state in
            state.busy -= 1
            guard state.busy == 0 else { return [CheckedContinuation<Void, Never>]() }
            let waiting = state.whenIdle
            state.whenIdle = []
            return waiting
        }
        for one in waiting { one.resume() }
    }

    /// Waits until the time has come or the partition is given up.
    func nap(until milliseconds: Int64) async {
        let clock = core.scope.clock
        let sleeper = WorkerTasks.begin { await clock.sleep(until: milliseconds) }
        let token = state.withLock { state -> UInt64? in
            guard state.mode == .open else { return nil }
            state.lastToken += 1
            state.sleepers[state.lastToken] = sleeper
            return state.lastToken
        }
        guard let token else { return sleeper.cancel() }
        await sleeper.value
        state.withLock { _ = $0.sleepers.removeValue(forKey: token) }
    }

    /// Has the worker look after the deadlines of calls.
    func watching<Value>(_ body: (CallWatch) async -> Value) async -> Value {
        let watch = CallWatch()
        let token = state.withLock { state in
            state.lastToken += 1
            state.watches[state.lastToken] = watch
            return state.lastToken
        }
        if mode == .abandoned { watch.cancel() }
        let value = await body(watch)
        state.withLock { _ = $0.watches.removeValue(forKey: token) }
        return value
    }

    /// Does something that ends early when the partition is abandoned: its task is cancelled then.
    func unlessAbandoned<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await watching { watch in
            let task = WorkerTasks.begin { () -> Result<Value, any Error> in
                do { return .success(try await body()) } catch { return .failure(error) }
            }
            watch.watch(task)
            let result = await task.value
            watch.unwatch()
            return result
        }.get()
    }

    /// Whether calls are under way that have a deadline.
    var isWatched: Bool { state.withLock { !$0.watches.isEmpty } }

    /// Cancels calls whose time is over.
    func look(now: Int64) {
        for watch in state.withLock({ Array($0.watches.values) }) { watch.look(now: now) }
    }

    // MARK: Giving up

    /// Begins nothing any more and waits for what is under way.
    func drain() async {
        let sleepers = state.withLock { state in
            if state.mode == .open { state.mode = .draining }
            open.store(false, ordering: .releasing)
            return Array(state.sleepers.values)
        }
        for sleeper in sleepers { sleeper.cancel() }
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                guard state.busy > 0 else { return true }
                state.whenIdle.append(continuation)
                return false
            }
            if isIdle { continuation.resume() }
        }
    }

    /// Whether a call of the handler is under way.
    var isCalling: Bool { state.withLock { $0.watches.values.contains { $0.until != nil } } }

    /// Has whoever waits look again.
    func wake() {
        for sleeper in state.withLock({ Array($0.sleepers.values) }) { sleeper.cancel() }
    }

    /// Has everything under way end at once, unfinished.
    func abandon() {
        let (sleepers, watches) = state.withLock { state in
            state.mode = .abandoned
            open.store(false, ordering: .releasing)
            return (Array(state.sleepers.values), Array(state.watches.values))
        }
        for sleeper in sleepers { sleeper.cancel() }
        for watch in watches { watch.cancel() }
    }

    // MARK: What it is owned by

    func hold(_ holds: [(ticket: UInt64, hold: OnceHold)]) {
        state.withLock { state in
            for (ticket, hold) in holds { state.holds[ticket] = hold }
        }
    }

    /// Takes ids for records that are about to be claimed; answers which of them another record has already.
    func reserve(_ records: [(ticket: UInt64, key: OnceKey)]) -> [Bool] {
        state.withLock { state in
            records.map { ticket, key in
                if let holder = state.keys[key], holder != ticket { return true }
                state.keys[key] = ticket
                return false
            }
        }
    }

    /// Gives ids back that were not granted.
    func unreserve(_ records: [(ticket: UInt64, key: OnceKey)]) {
        state.withLock { state in
            for (ticket, key) in records where state.keys[key] == ticket { state.keys[key] = nil }
        }
    }

    /// These are held no longer. Those that were not held any more already are left out of the answer.
    func letGo(_ tickets: some Sequence<UInt64>) -> [(ticket: UInt64, hold: OnceHold)] {
        state.withLock { state in
            tickets.compactMap { ticket in
                guard let hold = state.holds.removeValue(forKey: ticket) else { return nil }
                state.stale.remove(ticket)
                if state.keys[hold.key] == ticket { state.keys[hold.key] = nil }
                return (ticket, hold)
            }
        }
    }

    var held: [(ticket: UInt64, hold: OnceHold)] { state.withLock { $0.holds.map { ($0.key, $0.value) } } }

    /// The memory does not know these claims any more. They stay with the runner until it is told how they ended, so that
    /// repeats beside them wait.
    func markStale(_ tickets: [UInt64]) {
        guard !tickets.isEmpty else { return }
        state.withLock { state in
            for ticket in tickets where state.holds[ticket] != nil { state.stale.insert(ticket) }
        }
    }

    func hasStale(of tickets: some Sequence<UInt64>) -> Bool {
        state.withLock { state in !state.stale.isEmpty && tickets.contains { state.stale.contains($0) } }
    }

    /// What of these is held.
    func held(of tickets: some Sequence<UInt64>) -> [(ticket: UInt64, hold: OnceHold)] {
        state.withLock { state in tickets.compactMap { ticket in state.holds[ticket].map { (ticket, $0) } } }
    }

    /// Whom the once-only memory knows as the partition's owner; nil before the first question.
    var owner: OnceOwner? { state.withLock { $0.owner } }

    /// The owner, made by `take` where there is none. Lanes that ask at the same time get the same one: a second owner
    /// would take over what the first has just claimed.
    func owning(
        _ take: @escaping @Sendable () async throws(OnceFault) -> OnceOwner
    ) async throws(OnceFault) -> OnceOwner {
        let (owner, taking) = state.withLock { state -> (OnceOwner?, Task<Result<OnceOwner, OnceFault>, Never>?) in
            if let owner = state.owner { return (owner, nil) }
            if let taking = state.takingOver { return (nil, taking) }
            let taking = WorkerTasks.begin { () -> Result<OnceOwner, OnceFault> in
                let result: Result<OnceOwner, OnceFault>
                do throws(OnceFault) { result = .success(try await take()) } catch { result = .failure(error) }
                self.state.withLock { state in
                    state.owner = try? result.get()
                    state.takingOver = nil
                }
                return result
            }
            state.takingOver = taking
            return (nil, taking)
        }
        if let owner { return owner }
        guard let taking else { preconditionFailure("neither an owner nor one to come") }
        return try await taking.value.get()
    }

    /// Somebody else is the owner now; unless another lane knows that already.
    func disown(_ owner: OnceOwner) {
        state.withLock { if $0.owner == owner { $0.owner = nil } }
    }

    /// A second has passed.
    func tick() {
        guard let stateful else { return }
        stateful.secondPassed()
        nudge()
    }

    /// Nothing is under way any more: the last thing that is done for the partition here.
    func tidy() async {
        if mode == .draining { await forgetPublished() }
        await releaseAll()
        guard role.kind == .source, case .stateful(let handler) = core.job.handler else { return }
        handler.left(TopicPartition(role.family.source, place.partition))
    }
}
