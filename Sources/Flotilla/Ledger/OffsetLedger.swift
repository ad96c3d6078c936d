package import Model

/// What of one partition was handed out and what of it is finished: the contiguous finished prefix is what may be
/// committed, so that nothing unfinished is ever passed.
///
/// A record is known by its ticket, its number in the order of admission, because offsets have gaps: compaction and
/// transactions leave them. The window is a ring of fixed entries: no table by offset, nothing allocated per record.
package struct OffsetLedger: Sendable {
    package typealias Ticket = UInt64

    /// When a partition has enough of what is unfinished.
    package struct Limits: Sendable, Hashable {
        package var records: Int
        package var bytes: Int
        /// When it has enough to do for now. What waits for longer has left the processor's caches when its turn comes,
        /// and costs half as much again.
        package var busyRecords = 2000
        package var busyBytes = 4 << 20

        package init(records: Int = 10_000, bytes: Int = 64 << 20) {
            self.records = records
            self.bytes = bytes
        }
    }

    private struct Entry {
        var offset: Int64 = 0
        /// When it was written; below zero when nobody knows.
        var timestamp: Int64 = -1
        var bytes: Int32 = 0
        var isFinished = false
    }

    private let limits: Limits
    private var ring: [Entry]
    /// The lowest unfinished ticket, and the one that comes next.
    private var base: Ticket = 0
    private var next: Ticket = 0
    /// One past the last offset of the finished prefix, and what of that is committed.
    private var prefixEnd: Int64?
    private var committedEnd: Int64?
    /// Everything below it was handed out when the log had no more.
    private var readEnd: Int64?

    /// Records and bytes that were handed out and are not finished. A record behind an unfinished one keeps its place
    /// in the window until that is finished too: `span` counts those as well.
    package private(set) var outstanding = 0
    package private(set) var outstandingBytes = 0
    /// How many records were finished since `committed` was told.
    package private(set) var finishedSinceCommit = 0

    package init(_ limits: Limits = Limits()) {
        self.limits = limits
        ring = Array(repeating: Entry(), count: 64)
    }

    /// How many records the window holds: from the lowest unfinished one to the newest.
    package var span: Int { Int(next - base) }

    package var isFull: Bool { span >= limits.records || outstandingBytes >= limits.bytes }

    /// Whether what is here is enough for a moment: more need not be taken just now.
    package var isBusy: Bool {
        outstanding >= min(limits.busyRecords, limits.records)
            || outstandingBytes >= min(limits.busyBytes, limits.bytes)
    }

    /// Whether fetching may go on after it was full: a half is free, so that it does not stop and go at every record.
    package var hasRoom: Bool { span <= limits.records / 2 && outstandingBytes <= limits.bytes / 2 }

    /// The lowest unfinished offset, nil when everything is finished.
    package var head: Offset? { base == next ? nil : Offset(ring[slot(base)].offset) }

    /// The lowest unfinished record.
    package var headTicket: Ticket? { base == next ? nil : base }

    /// The offset from which on something may be left to do; nil before the first record.
    package var position: Offset? { head ?? prefixEnd.map { Offset($0) } }

    /// When the lowest unfinished record was written.
    package var oldest: Int64? {
        guard base != next else { return nil }
        let timestamp = ring[slot(base)].timestamp
        return timestamp < 0 ? nil : timestamp
    }

    /// How many records of those that were handed out and are not finished were written up to a time.
    package func unfinished(through time: Int64) -> Int {
        var (ticket, count) = (base, 0)
        while ticket < next {
            let entry = ring[slot(ticket)]
            if !entry.isFinished, entry.timestamp <= time { count += 1 }
            ticket += 1
        }
        return count
    }

    /// Whether everything up to this offset is finished, as far as is known here.
    package func isPast(_ offset: Offset) -> Bool { head ?? prefixEnd.map { Offset($0) } ?? Offset(0) > offset }

    /// What to commit when it is more than what was committed: one past the finished prefix.
    package var committable: Offset? {
        guard let prefixEnd, prefixEnd != committedEnd else { return nil }
        return Offset(prefixEnd)
    }

    /// Takes in the records of a batch, all of this partition, in their order.
    package mutating func admit(_ batch: RecordBatch) -> Range<Ticket> {
        let first = next
        if let offset = batch.first?.offset { forgetEnd(beyond: offset) }
        reserve(batch.count)
        for record in batch { add(record.offset, record.timestamp ?? -1, bytes: record.byteCount) }
        return first..<next
    }

    package mutating func admit(_ offset: Offset, at timestamp: Int64 = -1, bytes: Int) -> Ticket {
        forgetEnd(beyond: offset)
        reserve(1)
        add(offset, timestamp, bytes: bytes)
        return next - 1
    }

    /// Notes a record as finished. False when it was before, or was never handed out.
    package mutating func finish(_ ticket: Ticket) -> Bool {
        guard ticket >= base, ticket < next, !ring[slot(ticket)].isFinished else { return false }
        let at = slot(ticket)
        ring[at].isFinished = true
        outstanding -= 1
        outstandingBytes -= Int(ring[at].bytes)
        finishedSinceCommit += 1
        guard ticket == base else { return true }
        while base < next, ring[slot(base)].isFinished {
            prefixEnd = ring[slot(base)].offset &+ 1
            base += 1
        }
        passEnd()
        return true
    }

    /// The log has been read to its end. That may lie behind the last record: the markers of transactions have offsets,
    /// and so has what compaction took away.
    package mutating func reached(_ end: Offset) {
        readEnd = end.rawValue
        passEnd()
    }

    private mutating func passEnd() {
        guard base == next, let readEnd, readEnd > prefixEnd ?? 0 else { return }
        prefixEnd = readEnd
    }

    /// What comes from below where the log ended is of another log, or is handed out again.
    private mutating func forgetEnd(beyond offset: Offset) {
        if let end = readEnd, offset.rawValue < end { readEnd = nil }
    }

    /// A commit has been acknowledged.
    package mutating func committed(_ offset: Offset) {
        committedEnd = offset.rawValue
        finishedSinceCommit = 0
    }

    private func slot(_ ticket: Ticket) -> Int { Int(truncatingIfNeeded: ticket) & (ring.count - 1) }

    private mutating func add(_ offset: Offset, _ timestamp: Int64, bytes: Int) {
        ring[slot(next)] = Entry(offset: offset.rawValue, timestamp: timestamp, bytes: Int32(clamping: bytes))
        next += 1
        outstanding += 1
        outstandingBytes += Int(Int32(clamping: bytes))
    }

    /// Makes the ring large enough; its size is a power of two, so that a ticket's slot is a mask away.
    private mutating func reserve(_ count: Int) {
        let needed = span + count
        guard needed > ring.count else { return }
        var size = ring.count
        while size < needed { size *= 2 }
        var larger = Array(repeating: Entry(), count: size)
        var ticket = base
        while ticket < next {
            larger[Int(truncatingIfNeeded: ticket) & (size - 1)] = ring[slot(ticket)]
            ticket += 1
        }
        ring = larger
    }
}
