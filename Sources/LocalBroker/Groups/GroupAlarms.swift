// The deadlines of all groups and members in one place.
//
// Sessions are the common case, and nearly all of them are moved, by heartbeats, before they come due. So a deadline
// that moves later only changes its entry in a table; the heap keeps the older, earlier time and the entry finds its
// new place when that time comes. A heartbeat costs one table write, and a session one heap step per session timeout
// instead of one per heartbeat. The price: the earliest time in the heap may be early, so the loop may now and then
// wake for nothing. It is never late.
//
// Rejected: the heap alone (an entry per heartbeat), a timer wheel (its resolution shows in tests, and thousands of
// entries do not need it), a heap that moves its entries (an index per entry to keep, and a heap step per heartbeat),
// asking every group every tick.

/// What may come due.
struct GroupAlarm: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// A member, or the owner of a member id that never joined, was not heard of.
        case session(memberID: String)
        /// The time to join the next generation is over.
        case join
        /// The time to fetch the assignment is over.
        case sync
        /// An empty group without offsets has been remembered long enough.
        case forget
    }

    var group: String
    var kind: Kind
}

/// Alarms by the time at which they ring; an alarm is set at most once.
struct GroupAlarms {
    private struct Entry {
        /// When it rings.
        var due: Int64
        /// The one place in the heap that counts for it, never later than `due`.
        var queuedAt: Int64
    }

    private struct Place {
        var alarm: GroupAlarm
        var at: Int64
    }

    private var entries: [GroupAlarm: Entry] = [:]
    private var heap = Timers<Place>()

    /// How many places were looked at in all: what a test of cheapness counts.
    private(set) var examined = 0

    /// How many alarms are set.
    var count: Int { entries.count }

    /// No alarm rings before this time; `nil` when none is set.
    var next: Int64? { entries.isEmpty ? nil : heap.next }

    /// When `alarm` rings, if it is set.
    subscript(alarm: GroupAlarm) -> Int64? { entries[alarm]?.due }

    /// Sets or moves an alarm.
    mutating func set(_ alarm: GroupAlarm, at due: Int64) {
        if let entry = entries[alarm], entry.queuedAt <= due {
            entries[alarm] = Entry(due: due, queuedAt: entry.queuedAt)
        } else {
            entries[alarm] = Entry(due: due, queuedAt: due)
            heap.add(Place(alarm: alarm, at: due), at: due)
        }
    }

    mutating func cancel(_ alarm: GroupAlarm) {
        guard entries.removeValue(forKey: alarm) != nil else { return }
        // Its place stays until its time comes, so places of cancelled alarms must not pile up.
        guard heap.count > 64, heap.count / 2 > entries.count else { return }
        let entries = entries
        heap.keep { entries[$0.alarm]?.queuedAt == $0.at }
    }

    /// Takes an alarm that is due, each once.
    mutating func popDue(_ now: Int64) -> GroupAlarm? {
        while let place = heap.popDue(now: now) {
            examined &+= 1
            guard let entry = entries[place.alarm], entry.queuedAt == place.at else { continue }
            if entry.due <= now {
                entries[place.alarm] = nil
                return place.alarm
            }
            entries[place.alarm] = Entry(due: entry.due, queuedAt: entry.due)
            heap.add(Place(alarm: place.alarm, at: entry.due), at: entry.due)
        }
        return nil
    }
}
