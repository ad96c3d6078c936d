internal import Fleet
internal import Flotilla
internal import HTTP
internal import JSON
internal import Kafka
internal import Platform
internal import Synchronization
internal import WebAPI

/// Looks at the fleet: each second while somebody watches, seldom otherwise, so that a page that opens has something to show.
/// What it saw is written once, and given to everybody who watches.
final class FleetWatch: Sendable {
    private let place: Places
    private let state = Mutex(State())

    private struct State {
        var feeds: [ResponseFeed] = []
        /// Others that go on, which are counted with these.
        var others = 0
        var past = FleetPast()
        var latest: [UInt8] = []
        var askedAt: Int64 = 0
        /// When the look began that is under way.
        var lookingSince: Int64?
        var isStopping = false
    }

    /// So many pages may follow something at once.
    static let mostStreams = 64
    private static let interest: Int64 = 15_000
    /// A look that takes longer is told of. Each question of it has a limit, but one that the library has sent when the broker
    /// goes away may be answered by its own timeout only, a minute later.
    private static let patience: Int64 = 10_000

    init(_ place: Places) { self.place = place }

    // MARK: For requests

    /// What was seen last, with the last minutes before; nil before the first look.
    func snapshot() -> [UInt8]? {
        state.withLock { state in
            state.askedAt = Time.monotonicMilliseconds
            return state.latest.isEmpty ? nil : state.past.json(around: state.latest)
        }
    }

    var streams: Int { state.withLock { $0.feeds.count + $0.others } }

    /// A feed of all that is seen from now on.
    func follow() throws(Problem) -> ResponseFeed {
        let feed = ResponseFeed(limit: 4 << 20)
        try state.withLock { state throws(Problem) in
            try Self.checkRoom(&state)
            state.feeds.append(feed)
            state.askedAt = Time.monotonicMilliseconds
            if !state.latest.isEmpty { feed.write(Self.event("past", state.past.json(around: state.latest))) }
        }
        return feed
    }

    /// Room for something else that goes on; to be given back with `leave`.
    func enter() throws(Problem) {
        try state.withLock { state throws(Problem) in
            try Self.checkRoom(&state)
            state.others += 1
        }
    }

    func leave() { state.withLock { $0.others -= 1 } }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    private static func checkRoom(_ state: inout State) throws(Problem) {
        guard !state.isStopping else { throw Problem(503, "the console is ending", retryAfter: 2) }
        state.feeds.removeAll(where: \.isOver)
        guard state.feeds.count + state.others < mostStreams else {
            throw Problem(503, "\(mostStreams) pages follow something already: close one", retryAfter: 10)
        }
    }

    static func event(_ name: String, _ json: [UInt8]) -> [UInt8] {
        Array("event: \(name)\ndata: ".utf8) + json + Array("\n\n".utf8)
    }

    // MARK: Looking

    func stop() {
        let feeds = state.withLock { state in
            state.isStopping = true
            defer { state.feeds = [] }
            return state.feeds
        }
        for feed in feeds { feed.finish() }
    }

    /// Looks until it is stopped.
    func run() async {
        async let attending: Void = attend()
        await look()
        await attending
    }

    /// Says that nothing is seen when a look takes too long.
    private func attend() async {
        var told: Int64?
        while !isStopping {
            let since = state.withLock { $0.lookingSince }
            if let since, since != told, Time.monotonicMilliseconds - since > Self.patience {
                told = since
                tell(trouble: "the broker and Redis have not answered for \(Self.patience / 1000) s")
            }
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    private func look() async {
        var before: (reading: FleetReading, at: Int64, load: MachineLoad?)?
        var lookedAt: Int64 = 0
        while !isStopping {
            let now = Time.monotonicMilliseconds
            guard now - lookedAt >= (isWatched(now) ? 1000 : 10_000) else {
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            lookedAt = now
            state.withLock { $0.lookingSince = now }
            defer { state.withLock { $0.lookingSince = nil } }
            do {
                let load = place.configuration.isBesideWorkers ? MachineLoad() : nil
                var reading = try await FleetReading(
                    [place.catalog], place.board, place.lags)
                let at = Time.monotonicMilliseconds
                if let before { reading.compare(with: before.reading, after: Double(at - before.at) / 1000) }
                let machine = before?.load.flatMap { load?.since($0) }
                before = (reading, at, load)
                tell(reading, machine)
            } catch {
                tell(trouble: "\(error)")
            }
        }
    }

    private func isWatched(_ now: Int64) -> Bool {
        state.withLock { !$0.feeds.isEmpty || now - $0.askedAt < Self.interest && $0.askedAt > 0 }
    }

    private func tell(_ reading: FleetReading, _ machine: (cores: Int, used: Double)?) {
        let at = Time.wallMilliseconds
        var json = JSONWriter(capacity: 4096)
        json.object { json in
            json.member("at", at)
            json.array("handlers") { list in
                for figures in reading.handlers {
                    list.object { json in
                        figures.write(to: &json, advice: Advice.about(figures, machine: machine))
                        figures.writeMore(to: &json)
                    }
                }
            }
            json.array("workers") { list in
                for worker in reading.workers.sorted(by: {
                    ($0.handlers.first ?? "", $0.id) < ($1.handlers.first ?? "", $1.id)
                }) {
                    list.object { worker.write(to: &$0) }
                }
            }
        }
        publish(json.bytes) { $0.past.note(reading, at: at) }
    }

    private func tell(trouble: String) {
        var json = JSONWriter()
        json.object { json in
            json.member("at", Time.wallMilliseconds)
            json.member("trouble", trouble)
            json.array("handlers") { _ in }
            json.array("workers") { _ in }
        }
        publish(json.bytes) { _ in }
    }

    private func publish(_ bytes: [UInt8], _ note: (inout State) -> Void) {
        let feeds = state.withLock { state in
            note(&state)
            state.latest = bytes
            state.feeds.removeAll(where: \.isOver)
            return state.feeds
        }
        let event = Self.event("fleet", bytes)
        let lost = feeds.filter { !$0.write(event) }
        if !lost.isEmpty { state.withLock { state in state.feeds.removeAll { feed in lost.contains { $0 === feed } } } }
    }
}

/// How fast and how far behind handlers were in the last minutes.
struct FleetPast: Sendable {
    private struct Moment: Sendable {
        let at: Int64
        let figures: [(handler: String, rate: Double, lag: Int64)]
    }

    private var moments: [Moment] = []
    private static let most = 300

    mutating func note(_ reading: FleetReading, at: Int64) {
        moments.append(Moment(at: at, figures: reading.handlers.map { ($0.handler, $0.rate, $0.lag) }))
        if moments.count > Self.most { moments.removeFirst(moments.count - Self.most) }
    }

    /// With `latest`, which is an object, as what is seen now.
    func json(around latest: [UInt8]) -> [UInt8] {
        var json = JSONWriter(capacity: latest.count + 64 * moments.count)
        json.object { json in
            json.name("now")
            json.append(json: latest)
            json.array("past") { list in
                for moment in moments {
                    list.object { json in
                        json.member("at", moment.at)
                        json.object("rate") { json in
                            for one in moment.figures { json.member(one.handler, (one.rate * 10).rounded() / 10) }
                        }
                        json.object("lag") { json in for one in moment.figures { json.member(one.handler, one.lag) } }
                    }
                }
            }
        }
        return json.bytes
    }
}
