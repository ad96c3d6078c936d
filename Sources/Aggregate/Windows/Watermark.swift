internal import Platform

/// How far event time has come in one partition, and which of its windows are to be told for it. Time is a parameter.
///
/// The watermark is the highest event time that the *main* topic brought, less the lateness that is allowed for, and
/// never goes back. Replays and retries do not move it: they bring what is old by nature, and one of them must not close
/// a window, nor keep one open. Four rules around that:
///
/// - No event moves it past the clock. A client whose clock is ahead, by the five minutes that ingest lets through, would
///   else close windows that are still going on.
/// - A partition that brings nothing for a while is *idle*: it follows the clock, so that the last windows of a campaign
///   close although nobody clicks any more.
/// - One that we paused is *held*: it brings nothing because we do not read, so the clock means nothing for it. It
///   is given the whole while again when it goes on.
/// - It may be wrong, always: an outage between the client and us looks as if there were no events. So a window that
///   closed stays open for changes. What comes later makes it due again, and it is told with a higher revision.
///
/// A window is due when it has ended by the watermark and has changed since it was told last; `tick` lists those until
/// they were `told`. The transaction that tells them may fail, so telling is two steps. A change between the two makes
/// the window due once more. A window that has been told costs no memory; what is kept are those in which something
/// happened since.
///
/// Revisions belong to rows, not to windows: a campaign may come late into a window that closed for others. So a row
/// counts how often it was told: 1 when it closes, one more for each amendment. For the same reason the machine need not be
/// exact over a restart: it is made anew with the watermark that was stored and the windows of rows that changed since
/// they were told.
package struct Watermark: Sendable {
    package struct Limits: Hashable, Sendable {
        /// How far behind the newest event others may be and still come in time.
        package var lateness: Duration
        /// How long nothing has to come until the clock takes over.
        package var idleAfter: Duration

        package init(lateness: Duration = .seconds(10), idleAfter: Duration = .seconds(30)) {
            self.lateness = lateness
            self.idleAfter = idleAfter
        }
    }

    /// A window to be told, as it was at some change.
    package struct Closing: Hashable, Sendable {
        package let window: Window
        fileprivate let change: UInt64
    }

    private let lateness: Int64
    private let idleAfter: Int64
    /// All windows that end here or before are closed; nil before anything is known.
    package private(set) var time: Int64?
    /// When the main topic last brought something, by the clock.
    private var lastSeen: Int64
    package private(set) var isHeld = false
    /// Windows that changed since they were told, each with the number of its last change.
    private var changed: [Window: UInt64] = [:]
    private var lastChange: UInt64 = 0
    /// The first end of those, so that most ticks look at nothing else. Too early at worst.
    private var firstEnd = Int64.max

    /// `time` is what the partition had come to before, if that is known.
    package init(_ limits: Limits = Limits(), time: Int64? = nil, now: Int64) {
        lateness = limits.lateness.patience
        idleAfter = limits.idleAfter.patience
        self.time = time.map(Self.sane)
        lastSeen = Self.sane(now)
    }

    // MARK: What happens

    /// Events of the main topic were applied, `eventTime` the highest of them. `now` is the time after that, so that an
    /// apply that took long does not count as idleness.
    package mutating func saw(eventTime: Int64, now: Int64) {
        let now = Self.sane(now)
        lastSeen = now
        advance(to: min(Self.sane(eventTime), now) - lateness)
    }

    /// Something in this window changed, whatever topic it came from.
    package mutating func change(_ window: Window) {
        lastChange += 1
        changed[window] = lastChange
        firstEnd = min(firstEnd, window.end)
    }

    /// We stopped reading the partition.
    package mutating func hold() { isHeld = true }

    /// We read it again.
    package mutating func release(now: Int64) {
        guard isHeld else { return }
        isHeld = false
        lastSeen = Self.sane(now)
    }

    // MARK: What follows

    /// Whether the window has closed: what is put in there now amends it.
    package func isClosed(_ window: Window) -> Bool { time.map { window.end <= $0 } ?? false }

    /// Lets time go on, and lists the windows to be told, in the order of their ends.
    package mutating func tick(now: Int64) -> [Closing] {
        let now = Self.sane(now)
        // A clock that was put back must not make a partition look busy until it has caught up.
        lastSeen = min(lastSeen, now)
        if !isHeld, now - lastSeen >= idleAfter { advance(to: now - lateness) }
        guard let time, firstEnd <= time else { return [] }
        let due = changed.filter { $0.key.end <= time }
        firstEnd = changed.keys.lazy.map(\.end).min() ?? .max
        return due.map { Closing(window: $0.key, change: $0.value) }.sorted { $0.window < $1.window }
    }

    /// These were told for good: the transaction that did has been committed.
    package mutating func told(_ closings: [Closing]) {
        for closing in closings where changed[closing.window] == closing.change { changed[closing.window] = nil }
    }

    private mutating func advance(to newTime: Int64) { time = max(time ?? newTime, newTime) }

    /// Clocks and events can say anything; within these years sums stay sums.
    private static func sane(_ milliseconds: Int64) -> Int64 {
        min(max(milliseconds, Window.times.lowerBound), Window.times.upperBound)
    }
}
