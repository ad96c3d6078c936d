internal import Contracts
internal import Model
internal import Platform

// What the once-only memory is asked and told.
extension PartitionRunner {
    /// The events that may be worked on. What was done before is a repeat; what has ended processes too often is a dead
    /// letter; what someone else is at work on waits. Nil when the partition is given up; nothing is held then.
    func claimed(
        _ events: [EventJob], _ lane: Int, _ disposals: inout [Disposal], _ repeats: inout [EventJob]
    ) async -> [EventJob]? {
        guard let gate = core.once, !events.isEmpty else { return events }
        let digest = Digest(.sha256)
        var records = events.map { (ticket: $0.ticket, key: OnceKey($0.event, digest)) }
        let isTaken = reserve(records)
        var asked = events
        // The same event again while its first record is at work: it waits for how that ends.
        var busy: [(job: EventJob, wait: Duration)] = []
        if isTaken.contains(true) {
            busy = zip(events, isTaken).filter { $0.1 }.map { ($0.0, .milliseconds(50)) }
            asked = zip(events, isTaken).filter { !$0.1 }.map { $0.0 }
            records = zip(records, isTaken).filter { !$0.1 }.map { $0.0 }
        }
        let questions = zip(asked, records).map { OnceClaim($1.key, replays: $0.state?.replays ?? 0) }
        guard let answers = await answers(questions, gate) else {
            unreserve(records)
            putBack(events.map(\.item), lane)
            return nil
        }
        guard answers.count == asked.count else {
            // The handler goes on without the memory, so nothing is known of repeats.
            unreserve(records)
            return events
        }
        let known = repeats.count
        var jobs: [EventJob] = []
        jobs.reserveCapacity(asked.count)
        var held: [(ticket: UInt64, hold: OnceHold)] = []
        var notGranted: [(ticket: UInt64, key: OnceKey)] = []
        for (index, answer) in answers.enumerated() {
            var job = asked[index]
            switch answer {
            case .granted(let hold, let attempts, let wasHeld, let starts):
                held.append((job.ticket, hold))
                job.hold = hold
                job.attempts = max(job.attempts, attempts)
                // What another owner of the partition has tried, or this one before it gave the event back, counts too.
                job.tries = max(0, job.attempts - (job.state?.attempts ?? 0))
                job.suspectedStarts = wasHeld || starts > 0 ? starts : nil
                if starts >= Self.startsAllowed {
                    let story = ErrorStory(type: "CrashLoop", message: "its handling ended the process \(starts) times")
                    disposals.append(Disposal(job, role, .dead(.crashLoop), story, stage: "handle"))
                } else {
                    jobs.append(job)
                }
                continue
            case .done, .dead: repeats.append(job)
            case .busy(let wait): busy.append((job, wait))
            case .fenced: preconditionFailure("a fenced owner has been replaced before")
            }
            notGranted.append(records[index])
        }
        core.figures.claims[.granted]?.add(held.count)
        core.figures.claims[.repeats]?.add(repeats.count - known)
        core.figures.claims[.busy]?.add(busy.count)
        hold(held)
        unreserve(notGranted)
        busy.sort { $0.job.ticket < $1.job.ticket }
        return await withoutBusy(jobs, busy, lane)
    }

    /// Finishes what was done before. False when the partition was given up.
    func pass(_ repeats: [EventJob]) async -> Bool {
        figures.repeats.add(repeats.count)
        guard await tellOutcomes(of: repeats, "repeat") else { return false }
        finish(repeats.map(\.ticket))
        core.figures.ended(repeats.lazy.map(\.state), .repeats)
        return true
    }

    /// How often an event may end a process before it is a dead letter.
    private static let startsAllowed = 3

    /// Has events wait that someone else is at work on: beside the lane, or, with strict order, the lane with them.
    private func withoutBusy(
        _ jobs: [EventJob], _ busy: [(job: EventJob, wait: Duration)], _ lane: Int
    ) async -> [EventJob] {
        guard let first = busy.first else { return jobs }
        if role.policy.ordering == .partition {
            let before = jobs.filter { $0.ticket < first.job.ticket }
            let after = jobs.filter { $0.ticket > first.job.ticket }
            await release(after[...])
            putBack((after + busy.map(\.job)).sorted { $0.ticket < $1.ticket }.map(\.item), lane)
            if before.isEmpty { await nap(until: core.now + min(first.wait, .seconds(5)).milliseconds) }
            return before
        }
        for (job, wait) in busy {
            beside { [job] in
                await self.nap(until: self.core.now + min(wait, .seconds(5)).milliseconds)
                self.putBack([job.item], lane)
            }
        }
        return jobs
    }

    /// The memory's answers; none when it is away and the handler goes on without; nil when the partition is given up.
    private func answers(_ questions: [OnceClaim], _ gate: OnceGate) async -> [ClaimAnswer]? {
        guard !questions.isEmpty else { return [] }
        return await asking(gate) { owner throws(OnceFault) in
            let answers = try await gate.memory.claim(questions, owner: owner)
            if answers.contains(.fenced) { throw OnceFault(.fenced, "the partition has a later owner") }
            return answers
        } without: {
            self.core.figures.claims[.unasked]?.add(questions.count)
            return []
        }
    }

    /// Asks the memory until it answers: pauses while it is away, unless the handler goes on without it. Nil when the
    /// partition is given up before.
    private func asking<Value>(
        _ gate: OnceGate, _ body: (OnceOwner) async throws(OnceFault) -> Value, without: () -> Value
    ) async -> Value? {
        var wait: Int64 = 50
        while mayFinish {
            do throws(OnceFault) {
                let owner = try await ownership(gate)
                let value: Value
                do throws(OnceFault) {
                    value = try await body(owner)
                } catch {
                    if error.kind == .fenced { disown(owner) }
                    throw error
                }
                core.clear(.breaker, place)
                core.onceBack()
                return value
            } catch {
                switch error.kind {
                case .fenced: break
                case .unreachable, .full, .unusable:
                    core.onceAway(error)
                    if gate.onStoreDown == .proceed { return without() }
                    core.pause(.breaker, place)
                }
                guard isOpen else { return nil }
                await nap(until: core.now + wait)
                wait = min(wait * 2, 2000)
            }
        }
        return nil
    }

    private func ownership(_ gate: OnceGate) async throws(OnceFault) -> OnceOwner {
        try await owning { [place] () throws(OnceFault) in try await gate.memory.takeOver(place) }
    }

    /// Notes that an event is about to run which may have ended a process before. False when it is no longer held.
    func noteStart(_ hold: OnceHold) async -> Bool {
        guard let gate = core.once else { return true }
        return await asking(gate) { owner throws(OnceFault) in
            try await gate.memory.start(hold, owner: owner)
        } without: {
            true
        } ?? false
    }

    /// Notes that a call came back of an event that is not known as done yet. Without this, a process that is ended while the
    /// event waits would count against it: thrice in an outage, and it were a dead letter. When it is not heard the
    /// suspicion stays, which is no loss.
    func noteReturn(_ hold: OnceHold) async {
        guard let gate = core.once, let owner else { return }
        _ = try? await gate.memory.comeBack(hold, owner: owner)
    }

    /// Tells how events ended and finishes them. False when the partition is given up before that was heard.
    func conclude(_ endings: [(ticket: UInt64, ending: OnceEnding)]) async -> Bool {
        guard !endings.isEmpty else { return true }
        if let gate = core.once {
            let kinds = Dictionary(endings.map { ($0.ticket, $0.ending) }, uniquingKeysWith: { first, _ in first })
            // Held until it is told: a repeat that waits for this one would be granted before.
            let told = held(of: endings.map(\.ticket)).map { (hold: $0.hold, ending: kinds[$0.ticket] ?? .done) }
            for start in stride(from: 0, to: told.count, by: Self.largestPiece) {
                let piece = Array(told[start..<min(told.count, start + Self.largestPiece)])
                let heard = await asking(gate) { owner throws(OnceFault) in
                    try await gate.memory.finish(piece, owner: owner)
                } without: {
                    Array(repeating: true, count: piece.count)
                }
                guard let heard else { return false }
                let stale = zip(piece, heard).filter { !$0.1 }.map(\.0)
                core.figures.claims[.stale]?.add(stale.count)
                // The claim is somebody else's by now, or was lost with what Redis had not written yet; done it is all the
                // same, and a repeat behind it must find that.
                guard await remember(stale.filter { $0.ending == .done }.map(\.hold.key)) else { return false }
            }
            _ = letGo(endings.map(\.ticket))
        }
        finish(endings.map(\.ticket))
        return true
    }

    /// Has the memory know records as done whose effect is known to be in. False when the partition is given up before.
    func remember(_ items: some Sequence<WorkItem>) async -> Bool {
        let digest = Digest(.sha256)
        return await remember(items.compactMap { item in (try? Event(item.record)).map { OnceKey($0, digest) } })
    }

    private func remember(_ keys: [OnceKey]) async -> Bool {
        guard let gate = core.once, !keys.isEmpty else { return true }
        return await asking(gate) { _ throws(OnceFault) in
            try await gate.memory.remember(keys)
            return true
        } without: {
            true
        } ?? false
    }

    /// Gives up claims, so that whoever is next need not wait for them to run out.
    func release(_ jobs: ArraySlice<EventJob>) async {
        let attempts = Dictionary(jobs.map { ($0.ticket, $0.attempts) }, uniquingKeysWith: { first, _ in first })
        await release(jobs.map(\.ticket), attempts)
    }

    /// Gives up what is still held when the partition has been given up unfinished: nothing died of it.
    func releaseAll() async { await release(held.map(\.ticket), [:]) }

    private func release(_ tickets: [UInt64], _ attempts: [UInt64: Int]) async {
        guard let gate = core.once, let owner else { return }
        let told = letGo(tickets).map {
            (hold: $0.hold, ending: OnceEnding.released(attempts: attempts[$0.ticket] ?? 0))
        }
        for start in stride(from: 0, to: told.count, by: Self.largestPiece) {
            // When this is not heard, the claims run out by themselves.
            _ = try? await gate.memory.finish(
                Array(told[start..<min(told.count, start + Self.largestPiece)]), owner: owner)
        }
    }

    /// Events that are not to go on here now: they wait in front of their lane, and nobody holds them.
    func giveBack(_ jobs: ArraySlice<EventJob>, _ lane: Int) async {
        await release(jobs)
        putBack(jobs.map(\.item), lane)
    }

    /// Prolongs what is held, and notes what another has taken over or the memory has lost.
    func renew() async {
        guard let gate = core.once, let owner else { return }
        let all = held
        for start in stride(from: 0, to: all.count, by: Self.largestPiece) {
            let piece = all[start..<min(all.count, start + Self.largestPiece)]
            guard let kept = try? await gate.memory.renew(piece.map(\.hold), owner: owner) else { return }
            markStale(zip(piece, kept).filter { !$0.1 }.map(\.0.ticket))
        }
    }
}
