internal import Contracts
internal import Platform
internal import Synchronization

// A lane of a handler without state: claim, handle, publish, remember, finish, in this order.
extension PartitionRunner {
    /// One call of the once-only memory takes so many at most. More at a time would do without it, but leave the
    /// processor's caches on their way.
    static let largestPiece = 500
    /// How many pieces of a lane may wait for the log at once, while the handler goes on.
    private static let flightsAllowed = 4

    func runPlain(_ lane: Int) async {
        // A slow handler gets few events at a time, so that what is under way can always be finished soon.
        var size = Self.largestPiece
        let flights = Flights(allowed: Self.flightsAllowed)
        while let items = take(lane, max: size) {
            guard let due = await whenDue(items, lane) else { continue }
            let began = core.now
            figures.consumed.add(due.count)
            var disposals: [Disposal] = []
            let events = decode(due, &disposals)
            var repeats: [EventJob] = []
            if let jobs = await claimed(events, lane, &disposals, &repeats), await pass(repeats),
                await dispose(disposals)
            {
                await run(jobs, lane, flights: flights)
            }
            let took = core.now - began
            if took > 1000 { size = max(1, size / 2) } else if took < 250 { size = min(Self.largestPiece, size * 2) }
        }
        rest()
    }

    /// The records whose time has come; waits for the first of them. Nil when it is to be looked again.
    private func whenDue(_ items: [WorkItem], _ lane: Int) async -> [WorkItem]? {
        guard case .retry = role.kind else { return items }
        if core.skips.hasAny(of: items) {
            // What an operator wants out of the way waits for no time.
            putBack(items.filter { core.skips.skip(of: $0.record) == nil }, lane)
            return items.filter { core.skips.skip(of: $0.record) != nil }
        }
        let now = core.wallNow
        let due = items.prefix { item in (RetryState(item.record, role: role).due ?? 0) <= now }
        if due.count < items.count { putBack(Array(items[due.count...]), lane) }
        guard due.isEmpty else { return Array(due) }
        let wait = max(1, (RetryState(items[0].record, role: role).due ?? 0) - now)
        // Stopping to fetch drops what was fetched ahead, so it has to be worth it.
        if wait >= 1000 { core.pause(.due, place) }
        await nap(until: core.now + wait)
        core.clear(.due, place)
        return nil
    }

    /// Checks the envelopes. What is no event is a dead letter at once, and so is what an operator wants skipped.
    func decode(_ items: [WorkItem], _ disposals: inout [Disposal]) -> [EventJob] {
        var jobs: [EventJob] = []
        jobs.reserveCapacity(items.count)
        for item in items {
            let state = role.kind == .source ? nil : RetryState(item.record, role: role)
            if let skip = core.skips.skip(of: item.record) {
                disposals.append(
                    Disposal(
                        record: item.record, ticket: item.ticket, hold: nil, attempts: state?.attempts ?? 0,
                        state: state ?? RetryState(item.record, role: role), target: .dead(.skipped),
                        story: ErrorStory(type: "Skipped", message: "skipped by \(skip.by): \(skip.reason)"),
                        stage: "skip", trace: nil))
                continue
            }
            do {
                let event = try Event(item.record)
                jobs.append(EventJob(event: event, ticket: item.ticket, state: state))
            } catch {
                disposals.append(
                    Disposal(
                        record: item.record, ticket: item.ticket, hold: nil, attempts: state?.attempts ?? 0,
                        state: state ?? RetryState(item.record, role: role), target: .dead(.undecodable),
                        story: ErrorStory(error), stage: "decode", trace: nil))
            }
        }
        return jobs
    }

    /// Runs events and sees to what becomes of each, until nothing of them is left or the partition is given up.
    ///
    /// While a run's outputs are on their way to the log the next one begins, and an event that is tried again waits
    /// beside the lane. With strict order, and beside the lane already (no `flights`), everything waits in its place.
    func run(_ jobs: [EventJob], _ lane: Int, apart: Bool = false, flights: Flights?) async {
        let flights = role.policy.ordering == .partition ? nil : flights
        var apart = apart
        var pending = jobs[...]
        while !pending.isEmpty {
            guard let limit = await permission(unlessSkipped: pending.lazy.map(\.item)) else {
                return await giveBack(pending, lane)
            }
            var row = pending.prefix(limit)
            // One that may have ended a process goes by itself, in its turn.
            if let suspect = row.firstIndex(where: { $0.suspectedStarts != nil }) {
                row = row.prefix(max(1, suspect - row.startIndex))
            }
            guard let run = await call(row, apart: apart) else {
                // The right to probe goes to whoever is next; kept here, it would be nobody's for ever.
                if limit == 1 { core.probeAbandoned() }
                return await giveBack(pending, lane)
            }
            let judgement = Judgement(
                run.outcomes, row, role, wallNow: core.wallNow, random: Double.random(in: 0...1))
            figures.called(judgement)
            figures.durations.add(run.tally)
            core.heard(judgement)
            let publication = core.publisher.begin(run.outputs)
            if let flights {
                await flights.begin(self) {
                    if await self.settle(publication, run, judgement) == .apart {
                        await self.run(judgement.doneJobs, lane, apart: true, flights: nil)
                    }
                }
            } else {
                switch await settle(publication, run, judgement) {
                case .givenUp: return
                case .apart:
                    apart = true
                    continue
                case .settled: break
                }
            }
            pending = pending.dropFirst(judgement.handled)
            for (job, delay) in judgement.again {
                if flights == nil {
                    await napBeforeTry(after: delay)
                    pending = [job] + pending
                } else {
                    retryAside(job, after: delay, lane)
                }
            }
            // Until a breaker opens, a missing dependency is asked again at short intervals.
            if judgement.missing != nil { await nap(until: core.now + 50) }
        }
    }

    private enum Settled { case settled, apart, givenUp }

    /// Waits for a run's outputs and sends on what was not handled.
    private func settle(_ publication: Publication, _ run: HandlerRun, _ judgement: Judgement) async -> Settled {
        switch await finish(publication, run, judgement) {
        case .givenUp: .givenUp
        case .apart: .apart
        case .published(let tooLarge):
            await dispose(judgement.disposals + tooLarge) ? .settled : .givenUp
        }
    }

    /// Tries an event again by itself, with its memory for itself, so that its batch can go.
    private func retryAside(_ job: EventJob, after delay: Duration, _ lane: Int) {
        var alone = job
        guard let event = try? Event(job.event.record.detached) else { return }
        alone.event = event
        beside { [alone] in
            await self.napBeforeTry(after: delay)
            await self.run([alone], lane, flights: nil)
        }
    }

    /// How many events may be run now: waits while something that the handler needs is down. Nil to stop: the partition
    /// is given up, or an operator wants one of these skipped, and they are to be looked at again.
    func permission(unlessSkipped items: some Sequence<WorkItem> = EmptyCollection()) async -> Int? {
        while isOpen {
            if core.skips.hasAny(of: items) { return nil }
            if core.standsStill(place) {
                await nap(until: core.now + 200)
                continue
            }
            switch core.mayRun() {
            case .yes: return .max
            case .probe: return 1
            case .no(let until):
                core.pause(.breaker, place)
                await nap(until: until)
            }
            core.clear(.breaker, place)
        }
        return nil
    }

    /// Has the handler called for a row of events. Nil when the first of them is no longer to be run here.
    private func call(_ row: ArraySlice<EventJob>, apart: Bool) async -> HandlerRun? {
        guard let starts = row.first?.suspectedStarts, let hold = row.first?.hold else {
            return await core.aloneness.shared { await called(row, apart: apart) }
        }
        // The second time nobody else is at work, so that the blame cannot fall on a bystander: its start is noted when it
        // is let in and not while it waits for that, and taken back before the next one is.
        return starts > 0
            ? await core.aloneness.alone { await noted(row, hold, apart: apart) }
            : await core.aloneness.shared { await noted(row, hold, apart: apart) }
    }

    /// Has the handler called for one that may end the process. Nil when it is no longer held.
    private func noted(_ row: ArraySlice<EventJob>, _ hold: OnceHold, apart: Bool) async -> HandlerRun? {
        guard await noteStart(hold) else { return nil }
        let run = await called(row, apart: apart)
        // Done is told only when its outputs are out, and the next one may end the process before.
        if !run.outcomes.isEmpty { await noteReturn(hold) }
        return run
    }

    private func called(_ row: ArraySlice<EventJob>, apart: Bool) async -> HandlerRun {
        await watching { watch in
            let run = HandlerRun(row, core.scope, role.policy, apart: apart, watch: watch) { self.isOpen }
            await run.run()
            return run
        }
    }
}

/// Pieces of a lane whose outputs are on their way, so many at most.
final class Flights: Sendable {
    private let allowed: Int
    private let tasks = Mutex<[Task<Void, Never>]>([])

    init(allowed: Int) { self.allowed = allowed }

    /// Begins another one, once there is room. Only a lane's own task calls this.
    func begin(_ runner: PartitionRunner, _ body: @escaping @Sendable () async -> Void) async {
        let oldest = tasks.withLock { $0.count >= allowed ? $0.removeFirst() : nil }
        await oldest?.value
        let task = runner.beside(body)
        tasks.withLock { $0.append(task) }
    }
}
