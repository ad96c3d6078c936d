internal import Contracts
internal import Kafka
internal import Model
internal import Platform
internal import Postgres

// The lane of a handler with state: claim, apply and commit in one transaction, remember, finish; publish from the
// outbox beside it.
//
// A transaction is about a row of records without a gap: what is applied, what becomes a dead letter, what was done
// before. Its effect, its outputs and dead letters (in the outbox), and the position behind the last of them are in
// together or not at all. After an answer that was lost, Postgres is asked again how far it is: what is below that is
// in, everything else is done again.
extension PartitionRunner {
    func runStateful(_ handler: any StatefulHandler, _ lane: StatefulLane) async {
        var size = Self.largestPiece
        while true {
            let isOpen = await opened(lane)
            if isOpen, lane.takeSecond() { await tick(handler, lane) }
            guard let items = take(0, max: size) else { break }
            guard isOpen, let book = lane.book else {
                putBack(items, 0)
                continue
            }
            let began = core.now
            figures.consumed.add(items.count)
            let fresh = await passOver(items, book, lane)
            if let rows = await sorted(fresh) { await work(rows, handler, lane) }
            let took = core.now - began
            if took > 1000 { size = max(1, size / 2) } else if took < 250 { size = min(Self.largestPiece, size * 2) }
        }
        rest()
    }

    // MARK: Beginning

    /// Takes the partition over in Postgres, unless that has been done, and publishes what a predecessor left. False
    /// when the partition is given up.
    private func opened(_ lane: StatefulLane) async -> Bool {
        while lane.book == nil {
            guard await permission() != nil else { return false }
            do {
                let (book, pending) = try await unlessAbandoned { [place] in try await lane.store.take(place) }
                let taken = core.now
                lane.left(since: pending.map(\.age).max().map { taken - $0 })
                let end = try await core.source.bounds(of: place, within: .seconds(10)).high
                guard book.next <= end.rawValue else {
                    core.probeAbandoned()
                    await standStill(book, end)
                    continue
                }
                lane.book = book
                core.answered(Failure.postgres)
                for one in pending { await publish(one.batch, one.sequence, lane, since: taken - one.age) }
                lane.left(since: nil)
            } catch let fault as KafkaFault {
                lane.missed()
                core.missed("kafka", ErrorStory(fault))
                await nap(until: core.now + 200)
            } catch {
                guard mayFinish else {
                    core.probeAbandoned()
                    return false
                }
                lane.missed()
                core.missed(Failure.postgres, ErrorStory(error))
                await nap(until: core.now + 200)
            }
        }
        return true
    }

    /// The log is shorter than what was applied of it: the topic was made anew, or has lost records. Going on would skip
    /// in silence what is written now.
    private func standStill(_ book: PartitionBook, _ end: Offset) async {
        core.scope.log.error(
            "stopped: the topic ends before what was applied of it, so it is another one or has lost records",
            [
                ("handler", core.job.name), ("topic", place.topic), ("partition", place.partition), ("end", end),
                ("applied", book.next),
            ])
        await nap(until: core.now + 5000)
    }

    /// Leaves out what is applied already; the records to work on.
    private func passOver(_ items: [WorkItem], _ book: PartitionBook, _ lane: StatefulLane) async -> [WorkItem] {
        let old = items.prefix { $0.record.offset.rawValue < book.next }
        let fresh = Array(items[old.count...])
        if let first = fresh.first, first.record.offset.rawValue > book.next, book.next > 0, lane.tellsGap() {
            core.scope.log.warning(
                "reading goes on behind what was applied: records were deleted, or the group's offset was moved",
                [
                    ("handler", core.job.name), ("topic", place.topic), ("partition", place.partition),
                    ("applied", book.next), ("reading", first.record.offset),
                ])
        }
        guard !old.isEmpty else { return fresh }
        figures.repeats.add(old.count)
        // The process may have ended between the commit and the word to the memory, and the same event may come again
        // at a later place, which no position knows.
        guard await remember(old) else {
            putBack(items, 0)
            return []
        }
        finish(old.map(\.ticket))
        return fresh
    }

    /// What is to become of records, in their order; those from the first on that has to wait are put back. Nil when
    /// there is nothing to be done now.
    private func sorted(_ items: [WorkItem]) async -> [Row]? {
        var disposals: [Disposal] = []
        var repeats: [EventJob] = []
        let decoded = decode(items, &disposals)
        let rewound = decoded.filter { $0.state?.isRewound == true }
        let events = rewound.isEmpty ? decoded : decoded.filter { $0.state?.isRewound != true }
        guard let jobs = await claimed(events, 0, &disposals, &repeats) else {
            // The events wait in front of the lane again; what is none waits with them.
            let others = Set(disposals.map(\.ticket) + rewound.map(\.ticket))
            putBack(items.filter { others.contains($0.ticket) }, 0)
            return nil
        }
        var rows: [UInt64: Row.Kind] = [:]
        for job in jobs { rows[job.ticket] = .event(job) }
        for disposal in disposals { rows[disposal.ticket] = .dead(disposal) }
        for job in repeats + rewound { rows[job.ticket] = .repeated(job) }
        let ready = items.prefix { rows[$0.ticket] != nil }
        let waiting = items[ready.count...].filter { rows[$0.ticket] != nil }
        if !waiting.isEmpty {
            await release(ArraySlice(waiting.compactMap { rows[$0.ticket]?.job }))
            putBack(waiting, 0)
        }
        return ready.isEmpty ? nil : ready.compactMap { item in rows[item.ticket].map { Row(item: item, kind: $0) } }
    }

    // MARK: Working

    /// Applies rows until none is left or the partition is given up.
    private func work(
        _ rows: [Row], _ handler: any StatefulHandler, _ lane: StatefulLane
    ) async {
        var left = rows[...]
        var apart = false
        // Fewer after each time that Postgres did not answer: it may be that the whole takes it too long.
        var most = Self.largestPiece
        // The offset of a dead letter that no topic takes: what lies before it goes without it.
        var unwritable: Int64?
        while !left.isEmpty {
            guard await opened(lane), let book = lane.book else { return await giveBack(left) }
            // An answer was lost, and it turns out that it was done.
            let applied = left.prefix { $0.offset < book.next }
            if !applied.isEmpty {
                guard await conclude(applied) else { return }
                left = left.dropFirst(applied.count)
                continue
            }
            // What is none of the handler's needs nothing that the handler needs.
            let idle = left.prefix { $0.job == nil }
            var limit = Int.max
            if idle.isEmpty {
                guard let allowed = await permission(unlessSkipped: left.lazy.map(\.item)) else {
                    return await giveBack(left)
                }
                limit = allowed
            }
            // Whoever has their claims now may have done them under another offset, so they are asked for again.
            if hasStale(of: left.lazy.map(\.item.ticket)) { return await giveBack(left) }
            let ahead = left.prefix { $0.offset < unwritable ?? .max }
            let row = ahead.isEmpty ? left : ahead
            let piece =
                idle.isEmpty
                ? row.prefix(Row.piece(of: row, atMost: apart ? 1 : min(limit, most))) : idle.prefix(row.count)
            switch await transact(piece, handler, lane, book) {
            case .committed(let outputs, let sequence, let called):
                figures.succeeded.add(called)
                if piece.events.isEmpty { core.answered(Failure.postgres) } else { core.succeeded(piece.events.count) }
                guard await conclude(piece) else { return }
                left = left.dropFirst(piece.count)
                most = min(Self.largestPiece, most * 2)
                if let sequence { await publish(outputs, sequence, lane) }
            case .failed(let failure, let story):
                if piece.events.count > 1, !failure.stopsTheRow {
                    core.probeAbandoned()
                    apart = true
                    continue
                }
                guard await judge(failure, story, piece, &left) else { return await giveBack(left) }
            case .slow(let story):
                core.probeAbandoned()
                lane.book = nil
                // Postgres or the event: who is to blame shows by whether Postgres answers now.
                let misses = lane.misses
                guard await opened(lane), let book = lane.book else { return await giveBack(left) }
                guard lane.misses == misses, book.next <= piece.last?.offset ?? book.next else { continue }
                apart = true
                if piece.events.count > 1 { continue }
                guard await judge(.timeout, story, piece, &left) else { return await giveBack(left) }
            case .lost(let story):
                most = max(1, piece.events.count / 2)
                lane.book = nil
                core.missed(Failure.postgres, story)
                await nap(until: core.now + 50)
            case .unwritable(let offset):
                core.probeAbandoned()
                unwritable = offset
                if let first = piece.first, first.offset < offset { continue }
                core.scope.log.error(
                    "stopped: a dead letter cannot be written",
                    [
                        ("handler", core.job.name), ("topic", place.topic), ("partition", place.partition),
                        ("offset", offset), ("room", role.maxRecordBytes),
                    ])
                await nap(until: core.now + 5000)
                // Given up, nobody sleeps any more, and this would go round and round.
                guard isOpen else { return await giveBack(left) }
            case .fenced: await stepBack(lane)
            case .givenUp:
                core.probeAbandoned()
                return await giveBack(left)
            }
        }
    }

    /// Decides what becomes of the one event of a piece that failed. False to stop.
    private func judge(
        _ failure: Failure, _ story: ErrorStory, _ piece: ArraySlice<Row>, _ left: inout ArraySlice<Row>
    ) async -> Bool {
        guard let index = piece.firstIndex(where: { $0.job != nil }), let job = piece[index].job else {
            // Nothing of the handler's was in it, so it is the outbox that does not take it.
            core.probeAbandoned()
            core.scope.log.error(
                "stopped: the outbox does not take a dead letter",
                [
                    ("handler", core.job.name), ("topic", place.topic), ("partition", place.partition),
                    ("error", story.message),
                ])
            await nap(until: core.now + 5000)
            return isOpen
        }
        let judgement = Judgement(
            [.failed(failure, story)], [job], role, wallNow: core.wallNow, random: Double.random(in: 0...1))
        figures.called(judgement)
        core.heard(judgement)
        if let (again, delay) = judgement.again.first {
            left[index].kind = .event(again)
            await napBeforeTry(after: delay)
        } else if let disposal = judgement.disposals.first {
            left[index].kind = .dead(disposal)
        } else if judgement.missing != nil {
            await nap(until: core.now + 50)
        } else {
            return false
        }
        return true
    }

    /// Tells the memory how rows ended whose transaction is in, and finishes them.
    private func conclude(_ rows: ArraySlice<Row>) async -> Bool {
        var endings: [(ticket: UInt64, ending: OnceEnding)] = []
        for row in rows {
            switch row.kind {
            case .event(let job):
                endings.append((row.item.ticket, .done))
                figures.done.add()
                core.figures.ended(CollectionOfOne(job.state), .done)
            case .dead(let disposal):
                endings.append((row.item.ticket, disposal.ending))
                count([disposal])
            case .repeated(let job):
                figures.repeats.add()
                core.figures.ended(CollectionOfOne(job.state), .repeats)
            }
        }
        guard await conclude(endings) else { return false }
        finish(rows.filter(\.isRepeat).map(\.item.ticket))
        return true
    }

    /// Another worker has taken the partition over. Mostly the group says so in a moment. When it does not, the other one
    /// had not heard yet that the partition is no longer its own, and the partition is taken back.
    private func stepBack(_ lane: StatefulLane) async {
        core.probeAbandoned()
        lane.book = nil
        core.scope.log.warning(
            "another worker has taken a partition over: it is taken back unless the group gives it away",
            [("handler", core.job.name), ("topic", place.topic), ("partition", place.partition)])
        await nap(until: core.now + 5000)
    }

    private func giveBack(_ rows: ArraySlice<Row>) async {
        await release(ArraySlice(rows.compactMap(\.job)))
        putBack(rows.map(\.item), 0)
    }

    // MARK: Publishing

    /// Sends outputs on their way from the outbox, behind earlier ones, and goes on once not too many are.
    private func publish(
        _ batch: OutgoingBatch, _ sequence: Int64, _ lane: StatefulLane, since: Int64? = nil
    ) async {
        guard lane.begin(sequence, since: since ?? core.now) else { return }
        let first = core.publisher.begin(batch)
        await lane.flights.begin(self) {
            var publication = first
            while let refused = await self.delivered(publication) {
                guard let fault = refused.values.first else {
                    self.core.figures.published(batch)
                    return lane.finish(sequence)
                }
                self.core.scope.log.error(
                    "stopped: an output cannot be published",
                    [
                        ("handler", self.core.job.name), ("topic", self.place.topic),
                        ("partition", self.place.partition), ("error", fault),
                    ])
                await self.nap(until: self.core.now + 5000)
                guard self.isOpen else { return }
                publication = self.core.publisher.begin(publication.batch.only(refused.keys.sorted()))
            }
        }
    }

    // MARK: Ticking

    /// A second has passed: the handler's timers, and the outbox.
    private func tick(_ handler: any StatefulHandler, _ lane: StatefulLane) async {
        func look(_ isRead: Bool) -> Timestamp? {
            let isQuiet = isRead && outstanding == 0 && !core.isPaused(place)
            return lane.look(isQuiet: isQuiet, now: core.now, wallNow: core.wallNow)
        }
        guard role.kind == .source, handler.ticks, !core.standsStill(place), let book = lane.book else {
            _ = look(false)
            return await forgetPublished()
        }
        if case .no = core.mayRun() {
            _ = look(false)
            return
        }
        let quietSince = look(true)
        let readThrough = lane.readThrough(next: max(book.next, standing.position?.rawValue ?? 0))
        let call = core.scope.tracer?.beginTick()
        let scope = call == nil ? core.scope : core.scope.in(call)
        let source = TopicPartition(role.family.source, place.partition)
        let result = await core.aloneness.shared {
            await transaction(lane, book, next: book.next, call, events: 0) { transaction, until in
                let context = Context(
                    attempt: 1, until: until, event: nil, scope: scope, quietSince: quietSince,
                    readThrough: {
                        lane.wantsEnd()
                        return readThrough
                    })
                return try await handler.tick(context.now, source, transaction, context)
            }
        }
        askForEnd(lane)
        switch result {
        case .committed(let outputs, let sequence, _):
            core.answered(Failure.postgres)
            if let sequence { await publish(outputs, sequence, lane) }
        case .lost(let story):
            lane.book = nil
            core.missed(Failure.postgres, story)
        case .slow(let story):
            lane.book = nil
            tickFailed(story)
        case .failed(.unavailable(let dependency), let story): core.missed(dependency, story)
        case .failed(let failure, let story):
            guard failure != .cancelled else { return core.probeAbandoned() }
            tickFailed(story)
        case .fenced: await stepBack(lane)
        case .unwritable, .givenUp: core.probeAbandoned()
        }
    }

    /// Asks the log where it ends, if the handler wants to know: beside the lane, which a log that is away must not stop.
    private func askForEnd(_ lane: StatefulLane) {
        guard lane.mayAskForEnd() else { return }
        let began = Timestamp(milliseconds: core.wallNow)
        beside { [self] in
            let bounds = try? await unlessAbandoned { [core, place] in
                try await core.source.bounds(of: place, within: .seconds(3))
            }
            lane.noteEnd(bounds.map { ($0.low.rawValue, $0.high.rawValue) }, asked: began)
        }
    }

    private func tickFailed(_ story: ErrorStory) {
        core.probeAbandoned()
        core.scope.log.error(
            "a tick failed, and is tried again in a second",
            [
                ("handler", core.job.name), ("topic", place.topic), ("partition", place.partition),
                ("error", ErrorText.line(story.message, bytes: 512)),
            ])
    }

    /// Clears the outbox of what is published, when no transaction does.
    func forgetPublished() async {
        guard let stateful, let published = stateful.published else { return }
        let (store, place) = (stateful.store, place)
        let isDone: Void? = try? await unlessAbandoned { try await store.forget(through: published, place) }
        if isDone != nil { stateful.forgot(through: published) }
    }
}
