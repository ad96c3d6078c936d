internal import Contracts
internal import Model
internal import Platform

/// A row of events on their way through a handler: one task for all of them, one after the other.
///
/// It stops early at an event that must not be passed: one whose time was over, because its task is cancelled; one that
/// something the handler needs is missing for, because the next would fare the same; and any failure when order is
/// strict.
final class HandlerRun: @unchecked Sendable {
    // Unchecked: the task of `run` alone writes, and whoever waited for it reads afterwards.
    private(set) var outcomes: [CallOutcome] = []
    /// The outputs of all that went well.
    private(set) var outputs = OutgoingBatch()
    /// The traces of calls that went well: their outputs are still on their way.
    private(set) var traces: [CallTrace] = []
    /// How long the calls took.
    private(set) var tally = Durations.Tally()

    private let jobs: ArraySlice<EventJob>
    private let scope: HandlerScope
    private let policy: ConsumerPolicy
    private let watch: CallWatch
    private let isOpen: @Sendable () -> Bool
    /// How long a call may take, in milliseconds.
    private let deadline: Int64
    /// What the ids of outputs are derived by.
    private lazy var sha1 = Digest(.sha1)
    /// Whether a handler of batches is to be called for each event by itself.
    private var apart: Bool

    init(
        _ jobs: ArraySlice<EventJob>, _ scope: HandlerScope, _ policy: ConsumerPolicy, apart: Bool = false,
        watch: CallWatch, isOpen: @escaping @Sendable () -> Bool
    ) {
        self.jobs = jobs
        self.scope = scope
        self.policy = policy
        self.apart = apart
        self.watch = watch
        self.isOpen = isOpen
        deadline = policy.deadline.milliseconds
    }

    /// Runs the events, or the first of them, in a task that `watch` may cancel.
    func run() async {
        if case .batches(let handler) = scope.handler, !apart, jobs.count > 1 {
            await inTask { await self.runTogether(handler) }
            // Who is to blame shows when each is called by itself.
            if !outcomes.isEmpty { return }
            apart = true
        }
        switch scope.handler {
        case .events(let handler): await inTask { await self.runEach(handler) }
        case .batches(let handler): await inTask { await self.runEach(handler) }
        case .stateful: preconditionFailure("a handler with state is called in a transaction")
        }
    }

    /// Whether the outcomes are those of one call for all.
    var ranTogether: Bool {
        if case .batches = scope.handler { !apart && jobs.count > 1 } else { false }
    }

    private func inTask(_ body: @escaping @Sendable () async -> Void) async {
        let task = WorkerTasks.begin(body)
        watch.watch(task)
        await task.value
        watch.unwatch()
    }

    private func runEach(_ handler: some Handler) async {
        // Filled here and not where they stand, whose every use is checked.
        var (outcomes, outputs): ([CallOutcome], OutgoingBatch) = ([], OutgoingBatch())
        // A call is over when the next begins: a clock for its end would cost more than the least of handlers do.
        var (began, tally): (Int64?, Durations.Tally) = (nil, self.tally)
        defer { (self.outcomes, self.outputs) = (outcomes, outputs) }
        let start = Time.monotonicNanoseconds
        defer {
            if let began { tally.note(milliseconds: scope.clock.monotonicMilliseconds - began) }
            tally.nanoseconds += Time.monotonicNanoseconds - start
            self.tally = tally
        }
        outcomes.reserveCapacity(jobs.count)
        for place in jobs.indices {
            guard isOpen() else { return }
            let until = arm()
            if let began { tally.note(milliseconds: until &- deadline &- began) }
            began = until &- deadline
            // Not the whole job, whose copy would count its references.
            let (event, attempts) = (jobs[place].event, jobs[place].attempts)
            let call = scope.tracer == nil ? nil : scope.tracer?.begin(jobs[place])
            let scope = call == nil ? self.scope : self.scope.in(call)
            do {
                let produced = try await handler.handle(event, scope.context(event, attempts: attempts, until: until))
                let isOver = watch.disarm()
                if !produced.isEmpty {
                    try scope.encoder.append(produced, to: &outputs, by: sha1, in: call)
                    if outcomes.isEmpty { outputs.reserve(like: outputs.count * jobs.count) }
                }
                outcomes.append(.done(outputsEnd: outputs.count))
                if let call { noteDone(call) }
                if isOver { return }
            } catch {
                let isOver = watch.disarm()
                let failure = Failure(error, isOverdue: isOver, isStopping: !isOpen())
                let story = ErrorStory(error, in: call)
                call?.end(story)
                outcomes.append(.failed(failure, story))
                if isOver || failure.stopsTheRow || policy.ordering == .partition { return }
            }
        }
    }

    /// One call for all of them. They stand or fall together, and so do their outputs: the last event answers for all.
    private func runTogether(_ handler: some BatchHandler) async {
        let until = arm()
        let start = Time.monotonicNanoseconds
        defer {
            tally.note(milliseconds: scope.clock.monotonicMilliseconds - (until &- deadline))
            tally.nanoseconds += Time.monotonicNanoseconds - start
        }
        let call = scope.tracer?.begin(jobs)
        let scope = call == nil ? self.scope : self.scope.in(call)
        do {
            let first = jobs[jobs.startIndex]
            let context = scope.context(first.event, attempts: first.attempts, until: until)
            let produced = try await handler.handle(jobs.map(\.event), context)
            _ = watch.disarm()
            try scope.encoder.append(produced, to: &outputs, by: sha1, in: call)
            if let call { noteDone(call) }
            for index in jobs.indices {
                outcomes.append(.done(outputsEnd: index == jobs.endIndex - 1 ? outputs.count : 0))
            }
        } catch {
            let isOver = watch.disarm()
            let failure = Failure(error, isOverdue: isOver, isStopping: !isOpen())
            let story = ErrorStory(error, in: call)
            call?.end(story)
            if failure.stopsTheRow { outcomes.append(.failed(failure, story)) }
        }
    }

    private func noteDone(_ call: CallTrace) {
        call.end()
        traces.append(call)
    }

    /// Notes that a call begins, and when it has to be over.
    private func arm() -> Int64 {
        let until = scope.clock.monotonicMilliseconds &+ deadline
        watch.arm(until: until)
        return until
    }
}

extension Failure {
    /// Whether the next event would fare the same.
    var stopsTheRow: Bool {
        switch self {
        case .unavailable, .cancelled: true
        case _: false
        }
    }
}

/// What all calls of one handler have in common: one object, because every call is told of it.
final class HandlerScope: Sendable {
    let handler: AnyHandler
    let encoder: EventEncoder
    let log: Log
    let clock: any WorkerClock
    /// Nil where nothing is traced.
    let tracer: HandlerTracer?
    /// Of one call alone, whose trace this is.
    let call: CallTrace?

    init(
        handler: AnyHandler, encoder: EventEncoder, log: Log, clock: any WorkerClock, tracer: HandlerTracer? = nil,
        call: CallTrace? = nil
    ) {
        self.handler = handler
        self.encoder = encoder
        self.log = log
        self.clock = clock
        self.tracer = tracer
        self.call = call
    }

    /// The same for one call, which is traced: few are, so that others need to carry nothing for it.
    func `in`(_ call: CallTrace?) -> HandlerScope {
        HandlerScope(handler: handler, encoder: encoder, log: log, clock: clock, tracer: tracer, call: call)
    }

    /// `attempts`: how many there have been.
    func context(_ event: Event, attempts: Int, until monotonic: Int64) -> Context {
        Context(attempt: attempts + 1, until: monotonic, event: event, scope: self)
    }
}
