internal import Contracts
internal import Kafka
internal import Platform
internal import Synchronization

/// What the partitions of one handler share: where things come from and go to, what is paused, what is broken.
final class WorkerCore: Sendable {
    let job: HandlerJob
    let scope: HandlerScope
    let source: any RecordSource
    let publisher: Publisher
    let once: OnceGate?
    /// Only for a handler with state.
    let store: StateStore?
    let identity: WorkerIdentity
    let figures: WorkerFigures
    let skips = SkipList()
    /// Held by everyone who runs the handler; alone by whoever runs a record that may end the process.
    let aloneness = SharedGate()
    private let onceTrouble = Atomic<Bool>(false)
    private let pauses = Mutex(PauseTable())
    private let operatorPauses = Mutex(StandingStill([]))
    private let floodAlarm = Mutex(FloodAlarm())
    private let breakers: Mutex<[String: Breaker]>
    private let largest: [TopicName: Int]
    private let breakerPolicy: ConsumerPolicy.Breaker

    init(
        job: HandlerJob, scope: HandlerScope, source: any RecordSource, publisher: Publisher, once: OnceGate?,
        store: StateStore?, identity: WorkerIdentity
    ) {
        self.job = job
        figures = WorkerFigures(job)
        self.scope = scope
        self.source = source
        self.publisher = publisher
        self.once = once
        self.store = store
        self.identity = identity
        let produced = job.topics.values.flatMap(\.policy.produces)
        largest = Dictionary(
            produced.map { (job.namespace.topic($0), job.maxRecordBytes(of: $0)) },
            uniquingKeysWith: { first, _ in first })
        breakerPolicy = job.topics.values.first?.policy.breaker ?? ConsumerPolicy.Breaker()
        breakers = Mutex([:])
    }

    /// How large a record may be that a topic takes, by the name that the servers know.
    func maxRecordBytes(of topic: TopicName) -> Int { largest[topic] ?? .max }

    var now: Int64 { scope.clock.monotonicMilliseconds }
    var wallNow: Int64 { scope.clock.wallMilliseconds }

    // MARK: Pausing

    func pause(_ reason: PauseReasons, _ place: TopicPartition) {
        change { $0.set(reason, place).map { ($0, [place]) } }
    }

    func clear(_ reason: PauseReasons, _ place: TopicPartition) {
        change { $0.clear(reason, place).map { ($0, [place]) } }
    }

    func assigned(_ places: [TopicPartition]) {
        pauses.withLock { table in
            let paused = table.assigned(places)
            // Lost and given back, the consumer may have had a pause of before when it had the partition anew already;
            // that one would stay for ever. Resuming what is not paused does nothing.
            source.setPaused(false, places.filter { !paused.contains($0) })
            if !paused.isEmpty { source.setPaused(true, paused) }
        }
        let standing = operatorPauses.withLock { $0 }
        for place in places where standing.includes(place) { pause(.operator, place) }
    }

    /// Operators want this to stand still, from now on and whatever is assigned later.
    func follow(_ pauses: [OperatorPause], assigned: [TopicPartition]) {
        let wanted = StandingStill(pauses)
        let before = operatorPauses.withLock { standing in
            defer { standing = wanted }
            return standing
        }
        guard before != wanted else { return }
        for pause in wanted.pauses where !before.pauses.contains(pause) {
            scope.log.warning(
                "stands still, because an operator said so",
                [
                    ("handler", job.name), ("partition", pause.partition.map { "\($0)" } ?? "all"), ("by", pause.by),
                    ("reason", pause.reason),
                ])
        }
        for pause in before.pauses where !wanted.pauses.contains(pause) {
            scope.log.info(
                "an operator lets it go on",
                [("handler", job.name), ("partition", pause.partition.map { "\($0)" } ?? "all")])
        }
        for place in assigned {
            if wanted.includes(place) { pause(.operator, place) } else { clear(.operator, place) }
        }
    }

    /// What operators have paused of this handler.
    var standing: [OperatorPause] { operatorPauses.withLock { $0.pauses } }

    /// Whether an operator wants a partition to stand still.
    func standsStill(_ place: TopicPartition) -> Bool { operatorPauses.withLock { $0.includes(place) } }

    func revoked(_ places: [TopicPartition]) {
        pauses.withLock { $0.revoked(places) }
    }

    func isPaused(_ place: TopicPartition) -> Bool { pauses.withLock { !$0[place].isEmpty } }

    func pauses(of place: TopicPartition) -> PauseReasons { pauses.withLock { $0[place] } }

    var paused: [TopicPartition: PauseReasons] { pauses.withLock { $0.paused } }

    /// The consumer is told under the lock, or a pause and a resume could change places on their way to it. It only
    /// notes what it is told.
    private func change(_ body: (inout PauseTable) -> (PauseTable.Change, [TopicPartition])?) {
        pauses.withLock { table in
            if let (change, places) = body(&table) { source.setPaused(change == .pause, places) }
        }
    }

    // MARK: Floods

    /// An event goes to a retry topic or to the dead letters. True while many alike do, which is told of once.
    func failed(_ story: ErrorStory) -> Bool {
        let fingerprint = FailureReport.fingerprint(job.name, story.type, story.message)
        let sample = ErrorText.line(story.message, bytes: 256)
        switch floodAlarm.withLock({ $0.note(fingerprint, sample: sample, now: now) }) {
        case .alone: return false
        case .ongoing: return true
        case .raised(let count):
            scope.log.error(
                "a flood: many events fail alike",
                [
                    ("handler", job.name), ("fingerprint", fingerprint), ("lastMinute", count), ("error", sample),
                ])
            return false
        }
    }

    /// Tells of floods that are over.
    func lookAtFloods() {
        for flood in floodAlarm.withLock({ $0.look(now: now) }) {
            scope.log.info("a flood is over", [("handler", job.name), ("fingerprint", flood.fingerprint)])
        }
    }

    /// The floods that are on.
    var floods: [FloodAlarm.Flood] { floodAlarm.withLock { $0.floods(now: now) } }

    // MARK: Dependencies

    /// What a run of the handler says of its dependencies.
    func heard(_ judgement: Judgement) {
        if !judgement.done.isEmpty { succeeded(judgement.done.count) }
        if let missing = judgement.missing {
            missed(missing.dependency, missing.story)
        } else if judgement.done.isEmpty {
            // It failed of itself, or was not called: nothing is known of what it needs.
            probeAbandoned()
        }
    }

    /// The once-only memory does not answer.
    func onceAway(_ fault: OnceFault) {
        let isNews = onceTrouble.exchange(true, ordering: .relaxed) == false
        guard isNews else { return }
        scope.log.warning(
            "the once-only memory does not answer",
            [("handler", job.name), ("error", fault), ("policy", once?.onStoreDown.rawValue ?? "")])
    }

    /// It does again.
    func onceBack() {
        guard onceTrouble.load(ordering: .relaxed), onceTrouble.exchange(false, ordering: .relaxed) else { return }
        scope.log.info("the once-only memory answers again", [("handler", job.name)])
    }

    /// Whether nothing is done because the once-only memory does not answer.
    var waitsForMemory: Bool { onceTrouble.load(ordering: .relaxed) && once?.onStoreDown == .pause }

    enum Permission {
        case yes, probe
        case no(until: Int64)
    }

    /// Whether the handler may be called now: all that it needs is there, as far as is known.
    func mayRun() -> Permission {
        let now = now
        return breakers.withLock { breakers in
            var granted: [String] = []
            for name in breakers.keys {
                switch breakers[name, default: Breaker(breakerPolicy)].mayRun(now: now) {
                case .yes: continue
                case .probe: granted.append(name)
                case .no(let until):
                    // What other breakers granted is not used.
                    for other in granted { breakers[other]?.probeAbandoned() }
                    return .no(until: until)
                }
            }
            return granted.isEmpty ? .yes : .probe
        }
    }

    /// Something is missing. Opens its breaker when that goes on.
    func missed(_ dependency: String, _ story: ErrorStory) {
        let (opened, dependency) = breakers.withLock { breakers in
            let dependency = Self.name(dependency, among: breakers)
            let opened = breakers[dependency, default: Breaker(breakerPolicy)].failed(now: now)
            // Of the others nothing was learnt: a right to probe for one of them would be nobody's for ever.
            for name in breakers.keys where name != dependency { breakers[name]?.probeAbandoned() }
            return (opened, dependency)
        }
        guard opened else { return }
        scope.log.warning(
            "paused: something that the handler needs is down",
            [("handler", job.name), ("dependency", dependency), ("error", story.message)])
    }

    /// What is known under which name. Authors say what is missing, and one that takes the name from an event would have
    /// a breaker and figures for each: after so many names, and beyond any name's length, it is one for all others.
    private static func name(_ dependency: String, among breakers: [String: Breaker]) -> String {
        let isOurs = ["kafka", "redis", Failure.postgres].contains(dependency)
        let isKnown = isOurs || breakers[dependency] != nil
        return isKnown || (breakers.count < mostBreakers && dependency.utf8.count <= 128) ? dependency : "other"
    }

    private static let mostBreakers = 32

    /// Calls went well.
    func succeeded(_ calls: Int) {
        let closed = breakers.withLock { breakers in
            var closed: [String] = []
            for name in breakers.keys where breakers[name]?.succeeded(calls, now: now) == true { closed.append(name) }
            return closed
        }
        for name in closed {
            scope.log.info("resumed: the dependency is back", [("handler", job.name), ("dependency", name)])
        }
    }

    /// One dependency is there; of the others nothing was learnt.
    func answered(_ dependency: String) {
        let isClosed = breakers.withLock { $0[dependency]?.succeeded(1, now: now) == true }
        probeAbandoned()
        guard isClosed else { return }
        scope.log.info("resumed: the dependency is back", [("handler", job.name), ("dependency", dependency)])
    }

    func probeAbandoned() {
        breakers.withLock { breakers in
            for name in breakers.keys { breakers[name]?.probeAbandoned() }
        }
    }

    /// Of each dependency that was ever missing: closed, open, or half-open while it is tried.
    var breakerStates: [(dependency: String, state: String)] {
        breakers.withLock { breakers in
            breakers.sorted { $0.key < $1.key }.map { name, breaker in
                switch breaker.state {
                case .closed: (name, "closed")
                case .open: (name, "open")
                case .halfOpen: (name, "half-open")
                }
            }
        }
    }

    /// The dependencies whose breakers are not closed.
    var broken: [String] {
        breakers.withLock { breakers in breakers.filter { $0.value.state != .closed }.map(\.key).sorted() }
    }
}

/// What operators have paused of one handler.
struct StandingStill: Hashable, Sendable {
    let pauses: [OperatorPause]
    private let everything: Bool
    private let partitions: Set<Partition>

    init(_ pauses: [OperatorPause]) {
        self.pauses = pauses
        everything = pauses.contains { $0.partition == nil }
        partitions = Set(pauses.compactMap(\.partition))
    }

    func includes(_ place: TopicPartition) -> Bool { everything || partitions.contains(place.partition) }
}

/// Who this worker is, for dead letters and heartbeats.
package struct WorkerIdentity: Sendable, Hashable {
    package let id: String
    package let build: String

    package init(id: String, build: String) {
        self.id = id
        self.build = build
    }
}
