internal import Contracts
internal import Kafka
internal import Model
internal import Platform
internal import Postgres
internal import Synchronization
internal import Tracing

// One transaction of a handler with state: begun, the handler called under its deadline, committed with the position and
// the outputs. What its end means for the events is decided in the lane.
extension PartitionRunner {
    enum Transacted {
        /// `called`: how many events the handler was called for.
        case committed(outputs: OutgoingBatch, sequence: Int64?, called: Int)
        case failed(Failure, ErrorStory)
        /// Postgres did not answer, so it is not known what it did.
        case lost(ErrorStory)
        /// The call's time was over while it waited for Postgres, or Postgres was lost then.
        case slow(ErrorStory)
        /// The dead letter of this offset does not fit into its topic.
        case unwritable(Int64)
        case fenced
        case givenUp
    }

    /// One transaction about a piece.
    func transact(
        _ piece: ArraySlice<Row>, _ handler: any StatefulHandler, _ lane: StatefulLane, _ book: PartitionBook
    ) async -> Transacted {
        let jobs = piece.events
        guard let starts = jobs.first?.suspectedStarts else {
            return await core.aloneness.shared { await transacted(piece, jobs, handler, lane, book) }
        }
        guard let hold = jobs.first?.hold, await noteStart(hold) else { return .givenUp }
        // The second time nobody else is at work, so that the blame cannot fall on a bystander.
        let result =
            starts > 0
            ? await core.aloneness.alone { await transacted(piece, jobs, handler, lane, book) }
            : await core.aloneness.shared { await transacted(piece, jobs, handler, lane, book) }
        switch result {
        case .failed, .lost, .slow, .unwritable: await noteReturn(hold)
        case _: break
        }
        return result
    }

    private func transacted(
        _ piece: ArraySlice<Row>, _ jobs: [EventJob], _ handler: any StatefulHandler, _ lane: StatefulLane,
        _ book: PartitionBook
    ) async -> Transacted {
        let (scope, isReplay, store) = (core.scope, role.kind == .replay, lane.store)
        let next = (piece.last?.offset ?? book.next - 1) + 1
        let call = scope.tracer?.begin(jobs)
        let own = call == nil ? scope : scope.in(call)
        let called = Mutex(jobs.count)
        var result = await transaction(lane, book, next: next, call, events: jobs.count) { transaction, until in
            var fresh = jobs
            if isReplay {
                fresh = []
                for job in jobs {
                    guard let state = job.state else { continue }
                    if try await store.noteReplayed(state.source, transaction) { fresh.append(job) }
                }
                called.withLock { $0 = fresh.count }
            }
            guard let first = fresh.first else { return [] }
            let context = own.context(first.event, attempts: first.attempts, until: until)
            return try await handler.apply(fresh.map(\.event), transaction, context)
        } adding: { batch in
            for row in piece {
                switch row.kind {
                case .event(let job): self.addOutcome("done", of: job, to: &batch)
                case .repeated(let job): self.addOutcome("repeat", of: job, to: &batch)
                case .dead(let disposal):
                    guard let copy = self.copy(of: disposal, room: self.role.maxRecordBytes) else {
                        throw Unwritable(offset: row.offset)
                    }
                    batch.append(copy)
                    self.addOutcome(of: disposal, to: &batch)
                }
            }
        }
        if case .committed(let outputs, let sequence, _) = result {
            result = .committed(outputs: outputs, sequence: sequence, called: called.withLock { $0 })
        }
        guard case .committed = result, core.scope.tracer != nil else { return result }
        let letters = core.job.namespace.topic(role.family.deadLetters)
        for case .dead(let disposal) in piece.lazy.map(\.kind) { end(copySpan(of: disposal, to: letters, "create")) }
        return result
    }

    /// Begins, has `body` do its part under the handler's deadline, and commits. `events`: for how many it is.
    func transaction(
        _ lane: StatefulLane, _ book: PartitionBook, next: Int64, _ call: CallTrace? = nil, events: Int,
        _ body: @escaping @Sendable (PostgresTransaction, _ until: Int64) async throws -> [Outgoing],
        adding: (inout OutgoingBatch) throws -> Void = { _ in }
    ) async -> Transacted {
        let transaction: PostgresTransaction
        do {
            transaction = try await unlessAbandoned { try await lane.store.begin(book) }
        } catch {
            let story = ErrorStory(error, in: call)
            call?.end(story)
            return mayFinish ? .lost(story) : .givenUp
        }
        let (result, isOver) = await called(for: events) { until in try await body(transaction, until) }
        do {
            var batch = OutgoingBatch()
            // What is published after a crash is published by somebody else, so the span ends with the transaction.
            try core.scope.encoder.append(try result.get(), to: &batch, in: call, as: "create")
            if var tooLarge = tooLarge(batch) {
                tooLarge.trace = call?.failing
                call?.end(tooLarge)
                await rollBack(transaction)
                return .failed(.tooLarge, tooLarge)
            }
            try adding(&batch)
            guard mayFinish else {
                call?.end(Self.givenUp)
                await rollBack(transaction)
                return .givenUp
            }
            let published = lane.published
            let commit = commitSpan(call)
            let sequence = try await unlessAbandoned { [batch] in
                try await lane.store.commit(transaction, book, next: next, outputs: batch, published: published)
            }
            if let commit { core.scope.tracer?.tracer.end(commit) }
            call?.end()
            call?.sent([:])
            lane.forgot(through: published)
            lane.book?.next = next
            return .committed(outputs: batch, sequence: sequence, called: 0)
        } catch {
            await rollBack(transaction)
            let story = ErrorStory(error, in: call)
            call?.end(story)
            if let unwritable = error as? Unwritable { return .unwritable(unwritable.offset) }
            if let fault = error as? PostgresFault {
                if fault.state == StateStore.takenOver { return .fenced }
                // It may be in, so the book is no longer true, whatever the reason.
                if isOver, Failure(fault) == .unavailable(dependency: Failure.postgres) { return .slow(story) }
            }
            let failure = Failure(error, isOverdue: isOver, isStopping: !isOpen)
            return error is PostgresFault && failure == .unavailable(dependency: Failure.postgres)
                ? .lost(story) : .failed(failure, story)
        }
    }

    private static let givenUp = ErrorStory(type: "cancelled", message: "given up: the partition is somebody else's")

    private func commitSpan(_ call: CallTrace?) -> Span? {
        guard let place = call?.place, place.isSampled, let tracer = core.scope.tracer?.tracer else { return nil }
        var span = tracer.begin("COMMIT", .client, below: place)
        span.set("db.system.name", "postgresql")
        span.set("db.operation.name", "COMMIT")
        return span
    }

    private func rollBack(_ transaction: PostgresTransaction) async {
        _ = try? await unlessAbandoned { await transaction.rollBack() }
    }

    /// A dead letter that does not fit into its topic, whatever is left out of it.
    private struct Unwritable: Error {
        let offset: Int64
    }

    /// Calls the handler in a task that its deadline cancels. True: its time was over.
    ///
    /// Only what events take is told: a second in which none comes has its tick, too, and a quiet handler's figures would
    /// be those of ticks.
    private func called(
        for events: Int, _ body: @escaping @Sendable (_ until: Int64) async throws -> [Outgoing]
    ) async -> (Result<[Outgoing], any Error>, Bool) {
        await watching { watch in
            let until = core.now &+ role.policy.deadline.milliseconds
            watch.arm(until: until)
            let (began, start) = (core.now, Time.monotonicNanoseconds)
            defer {
                if events > 0 {
                    figures.durations.note(
                        milliseconds: core.now - began, nanoseconds: Time.monotonicNanoseconds - start)
                }
            }
            let task = WorkerTasks.begin { () -> (Result<[Outgoing], any Error>, Bool) in
                let result: Result<[Outgoing], any Error>
                do { result = .success(try await body(until)) } catch { result = .failure(error) }
                return (result, watch.disarm())
            }
            watch.watch(task)
            let ending = await task.value
            watch.unwatch()
            return ending
        }
    }

    /// What is wrong with outputs that their topics would not take: once they are committed it would be too late.
    private func tooLarge(_ batch: OutgoingBatch) -> ErrorStory? {
        for (index, entry) in batch.entries.enumerated() {
            let topic = batch.topics[Int(entry.topic)]
            let limit = core.maxRecordBytes(of: topic)
            let size = batch.wireBytes(at: index)
            guard size > limit else { continue }
            return ErrorStory(
                type: "TooLarge",
                message:
                    "an output to \(topic) has about \(size) bytes, and the topic takes \(limit): raise its maxMessageBytes"
            )
        }
        return nil
    }
}

/// A record on its way through a transaction.
struct Row: Sendable {
    enum Kind: Sendable {
        case event(EventJob)
        case dead(Disposal)
        /// It was done before, under another offset.
        case repeated(EventJob)

        var job: EventJob? { if case .event(let job) = self { job } else { nil } }
    }

    let item: WorkItem
    var kind: Kind

    var offset: Int64 { item.record.offset.rawValue }
    var job: EventJob? { kind.job }
    var isRepeat: Bool { if case .repeated = kind { true } else { false } }

    /// How many rows go into the next transaction: as far as so many events. One that may have ended a process goes
    /// by itself.
    static func piece(of rows: ArraySlice<Row>, atMost most: Int) -> Int {
        var events = 0
        var hasSuspect = false
        for (count, row) in rows.enumerated() {
            guard let job = row.job else { continue }
            let isSuspect = job.suspectedStarts != nil
            if events > 0, events >= most || isSuspect || hasSuspect { return count }
            events += 1
            hasSuspect = hasSuspect || isSuspect
        }
        return rows.count
    }
}

extension ArraySlice<Row> {
    var events: [EventJob] { compactMap(\.job) }
}
