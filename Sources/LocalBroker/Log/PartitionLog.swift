internal import Platform

// One partition's log: an ordered list of segments of which the last one grows.
//
// The life of a batch: it is checked where it was received, given its offset in place, and written from there with one
// pwrite. It is readable at once, or, with durability `batch`, when the sync that covers it has succeeded. A sync is
// asked for by `takeUnsynced` and answered by `synced`; one at a time, so what gathers meanwhile shares the next one.
//
// In a partition's folder:
//   00000000000000000000.log    batches from that offset on
//   00000000000000000000.index  of a sealed segment, see SegmentIndex
//   start                       the first offset, once it is not simply that of the first segment
//   synced                      how far the segments are known to be on the disk, see SyncedMark
//
// The broker's one thread owns all logs, so there is no lock. Nothing here waits for the disk except what is rare:
// opening, closing, DeleteRecords and retention, which move the start.

/// A partition's log. Every call comes from the thread that owns it.
final class PartitionLog {
    static let startFile = "start"
    static let markFile = "synced"

    /// A place between batches.
    struct Place: Equatable, Sendable {
        var segment: Int64
        var position: Int64
        var offset: Int64
    }

    /// A segment that is full and not known to be on the disk, with the index file it will get then.
    struct Sealed {
        let segment: Segment
        let index: [UInt8]
    }

    let directory: String
    let files: any FileLayer
    let durability: Durability
    let log: Log
    /// May change at any time; what exceeds the new ones is removed by the next `enforceRetention`.
    var settings: LogSettings

    /// By base offset. The last one grows. Empty only when offline from the start.
    var segments: [Segment]
    var producers: ProducerStates
    /// The first offset that may be read.
    var logStart: Int64
    /// All before this is on the disk.
    var syncedTo: Place
    /// Sealed and not yet synced.
    var sealed: [Sealed] = []
    /// A segment was made whose name may not survive a power cut.
    var hasNewName = false
    /// The mark tells of a new segment and should itself be on the disk soon: a stale one means much to read again.
    var markMoved = false
    var isSyncing = false
    var lastSyncTaken = Int64.min / 2
    let markHandle: (any OpenFile)?
    /// Why the partition takes and gives nothing.
    var offlineReason: String?

    /// For `open`, which knows what these must be.
    init(
        directory: String, files: any FileLayer, settings: LogSettings, durability: Durability, log: Log,
        segments: [Segment], producers: ProducerStates, logStart: Int64, markHandle: (any OpenFile)?,
        offlineReason: String?
    ) {
        self.directory = directory
        self.files = files
        self.settings = settings
        self.durability = durability
        self.log = log
        self.segments = segments
        self.producers = producers
        self.logStart = logStart
        self.markHandle = markHandle
        self.offlineReason = offlineReason
        syncedTo = Place(segment: logStart, position: 0, offset: logStart)
        if let last = segments.last {
            syncedTo = Place(segment: last.baseOffset, position: last.size, offset: last.endOffset)
        }
    }

    var isOffline: Bool { offlineReason != nil }

    /// One past the last offset.
    var logEnd: Int64 { segments.last?.endOffset ?? logStart }

    /// One past the last offset that consumers may read.
    var visibleEnd: Int64 { durability == .batch ? syncedTo.offset : logEnd }

    /// Bytes of all segments.
    var size: Int64 { segments.reduce(0) { $0 + $1.size } }

    /// Appends the batches in `records`, all or none, and sets their offsets in place. `now` is the wall clock.
    ///
    /// Important: with durability `batch` it may be acknowledged when `visibleEnd` has passed its last offset; that
    /// holds for a duplicate too, whose first copy may still be on its way to the disk.
    func append(_ records: UnsafeMutableRawBufferPointer, now: Int64) throws(AppendFault) -> Appended {
        guard !isOffline, let active = segments.last else { throw .storage }
        let base = active.endOffset
        var end = base
        var position = 0
        repeat {
            let batch = unsafe UnsafeMutableRawBufferPointer(rebasing: records[position...])
            let header = unsafe try RecordBatchHeader.validated(
                UnsafeRawBufferPointer(batch), limit: settings.largestBatch)
            if header.isIdempotent {
                // Kafka's producers send one batch a partition. More would make a request that is half a duplicate.
                guard header.totalBytes == records.count else { throw .invalidRecord }
                switch try producers.judge(header) {
                case .next: break
                case .duplicate(let known):
                    return Appended(
                        baseOffset: known.baseOffset, lastOffset: known.lastOffset, logStart: logStart,
                        isDuplicate: true)
                }
            }
            unsafe RecordBatchHeader.place(batch, at: end)
            end += Int64(header.recordCount)
            position += header.totalBytes
        } while position < records.count

        let target: Segment
        do throws(AppendFault) {
            target = try rollIfFull(for: records.count, now: now)
            unsafe try write(UnsafeRawBufferPointer(records), to: target)
        } catch {
            let first = unsafe RecordBatchHeader(UnsafeRawBufferPointer(records))
            if first.isIdempotent { producers.noteRefusal(first) }
            throw error
        }
        unsafe takeUp(UnsafeRawBufferPointer(records), in: target, now: now)
        return Appended(baseOffset: base, lastOffset: end - 1, logStart: logStart, isDuplicate: false)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, to segment: Segment) throws(AppendFault) {
        segment.reserve(for: bytes.count)
        do {
            try unsafe segment.file.append(bytes, at: segment.size)
        } catch {
            switch error {
            case .refused(let cause):
                log.error("append refused", [("file", segment.file.path), ("error", cause)])
            case .torn(let cause):
                goOffline("a write failed half way and could not be undone: \(cause)")
            }
            throw .storage
        }
    }

    /// Notes batches that were just written at the segment's end.
    private func takeUp(_ bytes: UnsafeRawBufferPointer, in segment: Segment, now: Int64) {
        var position = 0
        while position < bytes.count {
            let header = unsafe RecordBatchHeader(UnsafeRawBufferPointer(rebasing: bytes[position...]))
            segment.note(header, now: now)
            if header.isIdempotent { producers.note(header, now: now) }
            position += header.totalBytes
        }
    }

    /// The segment that has room for `count` bytes.
    private func rollIfFull(for count: Int, now: Int64) throws(AppendFault) -> Segment {
        guard let active = segments.last else { throw .storage }
        let isFull = active.size + Int64(count) > settings.segmentBytes
        guard isFull || isOld(active, now: now) else { return active }
        do {
            return try roll()
        } catch {
            log.error("cannot start a new segment", [("directory", directory), ("error", error)])
            throw .storage
        }
    }

    func isOld(_ segment: Segment, now: Int64) -> Bool {
        guard let first = segment.firstAppend else { return false }
        return now - first >= settings.segmentMilliseconds
    }

    /// Seals the active segment, unless it is empty, and starts the next; without effect when that cannot be made.
    @discardableResult
    func roll() throws(SystemError) -> Segment {
        if let active = segments.last, active.isEmpty { return active }
        let next = logEnd
        let file = try files.open(path(SegmentName.log(next)), .new)
        if let active = segments.last {
            active.releaseReservation()
            sealed.append(Sealed(segment: active, index: SegmentIndex.encoded(active, producers)))
        }
        let segment = Segment(baseOffset: next, file: file)
        segments.append(segment)
        hasNewName = true
        return segment
    }

    func path(_ name: String) -> String { directory + "/" + name }

    /// From now on every call is answered with a storage error. Only a restart, after a repair, ends this.
    func goOffline(_ reason: String) {
        guard offlineReason == nil else { return }
        offlineReason = reason
        log.error("partition is offline", [("directory", directory), ("reason", reason)])
    }

    /// Syncs what is left; the log takes nothing afterwards.
    func close() {
        guard !isOffline else { return }
        segments.last?.releaseReservation()
        syncAll()
        offlineReason = "closed"
    }

    /// Removes the partition's files and its folder; the log takes nothing afterwards.
    func destroy() throws(SystemError) {
        offlineReason = "deleted"
        segments = []
        sealed = []
        for name in try files.list(directory) where PartitionLog.isOurs(name) { try files.remove(path(name)) }
        try files.removeDirectory(directory)
    }

    /// Whether a file in a partition's folder was made by this type.
    static func isOurs(_ name: String) -> Bool {
        SegmentName.baseOffset(ofLog: name) != nil || SegmentName.baseOffset(ofIndex: name) != nil
            || name == startFile || name == markFile || name.hasSuffix(SmallFile.temporary)
    }
}
