internal import Contracts
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization
internal import Tracing

// What goes out: outputs, copies for retry topics and dead letters, and what became of replays.
extension PartitionRunner {
    enum Published {
        /// It is out, and the events are finished but for these, whose outputs no topic takes.
        case published(tooLarge: [Disposal])
        /// One of a batch's outputs is too large: who it belongs to shows when each event is handled by itself.
        case apart
        /// The partition was given up before.
        case givenUp
    }

    /// Waits until records are in the log; those that no topic takes, by their place in the batch. Nil when the partition
    /// is abandoned before: a log that does not answer must not keep it.
    func delivered(_ publication: Publication) async -> [Int: KafkaFault]? {
        try? await unlessAbandoned { [core] in
            await core.publisher.finish(publication, while: { self.mayFinish })
        }
    }

    /// Waits until a run's outputs are out and finishes the events that they come from.
    func finish(_ publication: Publication, _ run: HandlerRun, _ judgement: Judgement) async -> Published {
        guard !judgement.done.isEmpty else { return .published(tooLarge: []) }
        let refused = await delivered(publication)
        for call in run.traces { call.sent(refused) }
        guard let refused else { return .givenUp }
        core.figures.published(run.outputs)
        guard !refused.isEmpty else {
            figures.done.add(judgement.done.count)
            // Only replays are told of and counted, and they do not come by a source topic.
            if role.kind != .source {
                guard await tellOutcomes(of: judgement.doneJobs, "done") else { return .givenUp }
            }
            guard await conclude(judgement.doneTickets.map { ($0, .done) }) else { return .givenUp }
            if role.kind != .source { core.figures.ended(judgement.doneJobs.lazy.map(\.state), .done) }
            return .published(tooLarge: [])
        }
        if run.ranTogether { return .apart }
        var tooLarge: [Disposal] = []
        var done: [EventJob] = []
        for (place, range) in judgement.done {
            var job = judgement.job(at: place)
            guard let fault = refused.first(where: { range.contains($0.key) })?.value else {
                done.append(job)
                continue
            }
            job.attempts += 1
            let reason: DeadLetterReason = fault.kind == .tooLarge ? .tooLarge : .permanent
            tooLarge.append(Disposal(job, role, .dead(reason), ErrorStory(fault), stage: "produce"))
        }
        figures.done.add(done.count)
        guard await tellOutcomes(of: done, "done"), await conclude(done.map { ($0.ticket, .done) }) else {
            return .givenUp
        }
        core.figures.ended(done.lazy.map(\.state), .done)
        return .published(tooLarge: tooLarge)
    }

    /// Sends records to where they go from here, and finishes them. False when the partition was given up before.
    ///
    /// A dead letter that its topic does not take sheds what it can. When nothing helps the partition stops: it is
    /// never skipped.
    func dispose(_ disposals: [Disposal]) async -> Bool {
        var left = disposals
        var room = role.maxRecordBytes
        while !left.isEmpty {
            var batch = OutgoingBatch()
            var sent: [Disposal] = []
            for disposal in left {
                guard let copy = copy(of: disposal, room: room) else { continue }
                batch.append(copy)
                sent.append(disposal)
            }
            let spans = sent.indices.map { copySpan(of: sent[$0], to: batch.topics[Int(batch.entries[$0].topic)]) }
            guard let refused = await delivered(core.publisher.begin(batch)) else { return false }
            for (place, span) in spans.enumerated() { end(span, refused[place]) }
            let passed = sent.indices.filter { refused[$0] == nil }.map { sent[$0] }
            // Told once it is so: a copy may be refused, or not be there yet when this process dies.
            var outcomes = OutgoingBatch()
            for disposal in passed { addOutcome(of: disposal, to: &outcomes) }
            guard await tell(outcomes), await conclude(passed.map { ($0.ticket, $0.ending) }) else { return false }
            count(passed)
            let gone = Set(passed.map(\.ticket))
            left.removeAll { gone.contains($0.ticket) }
            guard !left.isEmpty else { break }
            if room > 4096 {
                // Its topic takes less than it should; less and less is tried.
                room /= 2
                continue
            }
            core.scope.log.error(
                "stopped: a dead letter cannot be written",
                [("topic", place.topic), ("partition", place.partition), ("offset", left[0].record.offset)])
            room = role.maxRecordBytes
            await nap(until: core.now + 5000)
            guard isOpen else { return false }
        }
        return true
    }

    /// The span of a copy on its way, below the attempt that failed; nil where nobody keeps that.
    func copySpan(of disposal: Disposal, to topic: TopicName, _ verb: StaticString = "send") -> Span? {
        guard let tracer = core.scope.tracer, let trace = disposal.story.trace, trace.isSampled else { return nil }
        return tracer.publishing(verb, topic, below: trace)
    }

    func end(_ span: Span?, _ fault: KafkaFault? = nil) {
        guard var span else { return }
        if let fault { span.fail("\(fault)", type: "\(fault.kind)") }
        core.scope.tracer?.tracer.end(span)
    }

    func copy(of disposal: Disposal, room: Int) -> OutgoingRecord? {
        let namespace = core.job.namespace
        let now = core.wallNow
        let report = FailureReport(
            handler: core.job.name, group: namespace.group(core.job.name), state: disposal.state,
            attempts: disposal.attempts, errorType: disposal.story.type, errorMessage: disposal.story.message, now: now,
            worker: core.identity.id, build: core.identity.build, trace: disposal.trace)
        if case .tier(let tier, let countsAttempt) = disposal.target {
            let copy = CopyWriter.retry(
                of: disposal.record, to: namespace.topic(role.family.retry(tier.description)), tier: tier.description,
                due: now + tier.delay.milliseconds, countsAttempt: countsAttempt, report)
            if copy.wireBytes <= room { return copy }
        }
        var reason = DeadLetterReason.tooLarge
        if case .dead(let given) = disposal.target { reason = given }
        return CopyWriter.deadLetter(
            of: disposal.record, to: namespace.topic(role.family.deadLetters), reason: reason, stage: disposal.stage,
            maxBytes: room, report)
    }

    func count(_ disposals: [Disposal]) {
        for disposal in disposals {
            if case .dead(.skipped) = disposal.target { core.skips.finish(disposal.record) }
            let isFlood = core.failed(disposal.story)
            switch disposal.target {
            case .tier(let tier, _): figures.retried(tier)
            case .dead(let reason):
                figures.dead[reason]?.add()
                core.figures.ended(CollectionOfOne(disposal.state), .dead)
                // A flood was told of once; a line for each would drown what else there is to see.
                guard !isFlood else { continue }
                core.scope.log.warning(
                    "dead letter",
                    [
                        ("handler", core.job.name), ("reason", reason.rawValue), ("topic", disposal.state.source.topic),
                        ("partition", disposal.state.source.partition), ("offset", disposal.state.source.offset),
                        ("error", ErrorText.line(disposal.story.message, bytes: 512)),
                    ] + disposal.names)
            }
        }
    }

    // MARK: Outcomes of replays

    /// Tells what became of events that are handled and all of whose outputs are out, or that had been handled before:
    /// not together with outputs, of which a topic may refuse one, and then the event is none that is done. False when
    /// given up.
    func tellOutcomes(of jobs: [EventJob], _ outcome: String) async -> Bool {
        var batch = OutgoingBatch()
        for job in jobs { addOutcome(outcome, of: job, to: &batch) }
        return await tell(batch)
    }

    private func tell(_ outcomes: OutgoingBatch) async -> Bool {
        guard !outcomes.isEmpty else { return true }
        return await delivered(core.publisher.begin(outcomes)) != nil
    }

    func addOutcome(_ outcome: String, of job: EventJob, to batch: inout OutgoingBatch) {
        guard let state = job.state else { return }
        addOutcome(outcome, state, to: &batch)
    }

    func addOutcome(of disposal: Disposal, to batch: inout OutgoingBatch) {
        if case .dead(let reason) = disposal.target {
            addOutcome("dead:\(reason.rawValue)", disposal.state, to: &batch)
        }
    }

    private func addOutcome(_ outcome: String, _ state: RetryState, to batch: inout OutgoingBatch) {
        guard let job = state.replayJob else { return }
        batch.append(
            OutcomeRecord(
                job: job, handler: core.job.name, group: core.job.namespace.group(core.job.name), outcome: outcome,
                source: state.source, replays: state.replays, at: core.wallNow
            ).record(to: core.job.namespace.topic(.outcomes)))
    }
}

extension Disposal {
    /// What a line of the log knows it by, beside where it was first: what is no event has no id.
    var names: [Log.Field] {
        guard let event = try? Event(record) else { return [] }
        var fields: [Log.Field] = [("event", event.id)]
        if let trace = trace.flatMap({ TraceParent($0) }) { fields.append(("trace", trace.trace)) }
        return fields
    }

    /// What the once-only memory keeps of it.
    var ending: OnceEnding {
        switch target {
        case .tier: .released(attempts: attempts)
        case .dead: .dead
        }
    }
}
