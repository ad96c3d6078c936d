internal import Kafka
internal import Platform
internal import Synchronization

/// What a partition of a handler with state remembers between the runs of its lane: how far it is applied, and which
/// outputs are on their way from the outbox to the log.
final class StatefulLane: Sendable {
    let store: StateStore
    /// One bound for all runs of the lane: with a bound for each, timers would pile up outputs while the log is away.
    let flights = Flights(allowed: 4)
    private let state = Mutex(State())

    private struct State {
        var book: PartitionBook?
        var isSecondOver = false
        var misses = 0
        /// In the order of the outbox.
        var flights: [(sequence: Int64, since: Int64, isPublished: Bool)] = []
        var lastBegun: Int64 = 0
        /// Since when outputs have been in the outbox that a predecessor left and that are not begun.
        var leftSince: Int64?
        /// Everything up to here is published, and is still in the outbox.
        var published: Int64?
        var hasToldGap = false
        /// Since when nothing comes although the partition is read, and when that was seen last.
        var quiet: (since: Timestamp, seen: Int64)?
        var reading = ReadingMark()
    }

    init(_ store: StateStore) { self.store = store }

    /// Nil when it is not known what Postgres has: before the first look, and after an answer that was lost.
    var book: PartitionBook? {
        get { state.withLock { $0.book } }
        set { state.withLock { $0.book = newValue } }
    }

    /// How often the partition could not be taken over, because something did not answer.
    var misses: Int { state.withLock { $0.misses } }
    func missed() { state.withLock { $0.misses += 1 } }

    func secondPassed() { state.withLock { $0.isSecondOver = true } }

    /// Whether a second has passed since this was asked.
    func takeSecond() -> Bool {
        state.withLock { state in
            defer { state.isSecondOver = false }
            return state.isSecondOver
        }
    }

    /// A look at whether the partition is being read and has nothing in it; since when, if it is so.
    ///
    /// A while in which nobody looked does not count: it may have been paused and gone on in there.
    func look(isQuiet: Bool, now: Int64, wallNow: Int64) -> Timestamp? {
        state.withLock { state in
            guard isQuiet else {
                state.quiet = nil
                return nil
            }
            let isGap = state.quiet.map { now - $0.seen > 5000 } ?? true
            let since = isGap ? nil : state.quiet?.since
            state.quiet = (since ?? Timestamp(milliseconds: wallNow), now)
            return state.quiet?.since
        }
    }

    /// Up to when all that the log had is applied, as far as is known.
    func readThrough(next: Int64) -> Timestamp? { state.withLock { $0.reading.look(next: next) } }

    /// The handler wants to know it.
    func wantsEnd() { state.withLock { $0.reading.isWanted = true } }
    func mayAskForEnd() -> Bool { state.withLock { $0.reading.mayAsk() } }
    func noteEnd(_ bounds: (low: Int64, high: Int64)?, asked: Timestamp) {
        state.withLock { $0.reading.answered(bounds, asked: asked) }
    }

    /// True once: whoever reads the log for the first time at a later place than it should.
    func tellsGap() -> Bool {
        state.withLock { state in
            defer { state.hasToldGap = true }
            return !state.hasToldGap
        }
    }

    // MARK: The outbox

    /// Outputs of a predecessor are in the outbox since then; nil once they are on their way.
    func left(since: Int64?) { state.withLock { $0.leftSince = since } }

    /// Outputs are about to be published that are in the outbox since then. False when they were begun before.
    func begin(_ sequence: Int64, since: Int64) -> Bool {
        state.withLock { state in
            guard sequence > state.lastBegun else { return false }
            state.lastBegun = sequence
            state.flights.append((sequence, since, false))
            return true
        }
    }

    func finish(_ sequence: Int64) {
        state.withLock { state in
            guard let place = state.flights.firstIndex(where: { $0.sequence == sequence }) else { return }
            state.flights[place].isPublished = true
            while let first = state.flights.first, first.isPublished {
                state.published = first.sequence
                state.flights.removeFirst()
            }
        }
    }

    /// For how long the oldest output has been waiting for the log, in milliseconds; nil when none is.
    func outboxAge(now: Int64) -> Int64? {
        state.withLock { state in
            [state.flights.first?.since, state.leftSince].compactMap { $0 }.min().map { max(0, now - $0) }
        }
    }

    /// What can go from the outbox.
    var published: Int64? { state.withLock { $0.published } }

    /// It is out of the outbox.
    func forgot(through sequence: Int64?) {
        state.withLock { if $0.published == sequence { $0.published = nil } }
    }
}
