internal import Platform

// Reads a partition's folder after whatever happened, and decides for each segment what its bytes are worth.
//
// A segment is *sealed* when it has a valid index file: it was on the disk as a whole, so it is not read again and only
// its size is compared. It is *covered* when the mark is at a later segment: it was on the disk too, but its index was
// lost, so it is read to make a new one. What is left, nearly always the last segment alone, is read to its first fault:
//
//   the fault lies below what was synced   damage. Nobody's crash explains it; what to do is a person's decision, so the
//                                          partition is opened offline and one line says where and what
//   at or above it                         a write that a crash cut short. Nothing of it was promised to last; it is cut
//                                          off, and later segments are removed, since they began after it
//
// Segments below the noted start are leftovers of a removal, `.tmp` files of a replacement, indexes without a segment of
// both. Files with other names are not ours and stay.

/// What became of a partition's folder: the segments in order, or the reason why they cannot be used.
struct LogRecovery {
    let directory: String
    let files: any FileLayer
    let log: Log
    let now: Int64

    private(set) var segments: [Segment] = []
    private(set) var producers = ProducerStates()
    private(set) var logStart: Int64 = 0
    /// Segments that were read, with the producers' state at each one's end: they get an index, unless it is the last.
    private(set) var scanned: [PartitionLog.Sealed] = []
    /// Segments that may hold bytes which are not on the disk.
    private(set) var unsynced: [Segment] = []
    /// The last segment is sealed, so a new one must follow.
    private(set) var isLastSealed = false
    private(set) var damage: Damage?
    private(set) var mark: SyncedMark?
    private var hasRemoved = false

    /// Whether a power cut could still undo names in the folder: new segments, or the removal of what must not return.
    ///
    /// The mark is put on a segment after the folder was synced, so it vouches for the name.
    var hasUnsyncedNames: Bool { hasRemoved || isLastSealed || mark == nil || mark?.file != segments.last?.baseOffset }

    /// Where a segment is not what it was.
    struct Damage: Error {
        let path: String
        let position: Int64
        let offset: Int64
        let reason: String
        /// What cuts it there.
        let cut: String

        var description: String { "\(reason): \(path) at byte \(position), offset \(offset)" }
    }

    init(directory: String, files: any FileLayer, log: Log, now: Int64) {
        self.directory = directory
        self.files = files
        self.log = log
        self.now = now
    }

    mutating func run() throws(SystemError) {
        var names = try files.list(directory)
        for name in names where name.hasSuffix(SmallFile.temporary) { try files.remove(path(name)) }
        let notedStart = try PartitionLog.notedStart(directory, files)
        var bases = names.compactMap { SegmentName.baseOffset(ofLog: $0) }.sorted()
        if let notedStart {
            while bases.count > 1, bases[1] <= notedStart {
                try files.remove(path(SegmentName.log(bases.removeFirst())))
            }
        }
        for name in names {
            guard let base = SegmentName.baseOffset(ofIndex: name), !bases.contains(base) else { continue }
            try files.remove(path(name))
        }
        names = []

        mark = try SyncedMark(path(PartitionLog.markFile), files)
        logStart = max(notedStart ?? 0, bases.first ?? 0)
        if let mark, !bases.contains(mark.file), mark.file >= bases.first ?? 0 {
            let gone = SegmentName.log(mark.file)
            damage = Damage(
                path: path(gone), position: 0, offset: mark.file, reason: "a segment is missing",
                cut: "rm \(path(PartitionLog.markFile))")
            return
        }
        for (index, base) in bases.enumerated() {
            let goesOn = try load(base, mark)
            if damage != nil { return }
            guard goesOn else {
                try drop(bases[(segments.last?.baseOffset == base ? index + 1 : index)...])
                break
            }
        }
        try startAfresh()
    }

    /// Takes up one segment. False when it, or what follows it, is not part of the log.
    private mutating func load(_ base: Int64, _ mark: SyncedMark?) throws(SystemError) -> Bool {
        let file = try files.open(path(SegmentName.log(base)), .existing)
        let size = try file.size()
        let index = try SegmentIndex.read(path(SegmentName.index(base)), baseOffset: base, files)
        let isCovered = mark.map { base < $0.file } ?? false
        let syncedTo = isCovered ? size : mark.flatMap { base == $0.file ? $0.position : nil } ?? 0

        if let end = segments.last?.endOffset, end != base {
            guard index != nil || isCovered || syncedTo > 0, base > end else { return false }
            log.warning(
                "offsets are missing, as after a segment was cut",
                [("directory", directory), ("from", end), ("to", base)])
        }
        if let index {
            guard index.size == size else {
                damage = try sizeDamage(file, size, index)
                return false
            }
            segments.append(Segment(file: file, index: index))
            producers = index.producers
            isLastSealed = true
            return true
        }
        return try scan(file, base, size, syncedTo: syncedTo, isCovered: isCovered)
    }

    private mutating func scan(
        _ file: any OpenFile, _ base: Int64, _ size: Int64, syncedTo: Int64, isCovered: Bool
    ) throws(SystemError) -> Bool {
        let segment = Segment(baseOffset: base, file: file)
        var states = producers
        let outcome = try BatchScanner.scan(
            file, 0..<size, window: BatchScanner.wideWindow, checking: true
        ) { [now] header, _ in
            guard header.baseOffset == segment.endOffset else { return false }
            segment.note(header, now: now)
            if header.isIdempotent { states.note(header, now: now) }
            return true
        }
        // Where the intact batches end is where the segment ends, whatever ended the walk.
        let isWhole = outcome == .complete
        if segment.size < syncedTo || (isCovered && !isWhole) {
            damage = Damage(
                path: file.path, position: segment.size, offset: segment.endOffset,
                reason: isWhole ? "the file is shorter than what was synced" : "bytes that were synced have changed",
                cut: isCovered
                    ? "truncate -s \(segment.size) \(file.path)"
                    : "truncate -s \(segment.size) \(file.path) && rm \(path(PartitionLog.markFile))")
            return false
        }
        producers = states
        segments.append(segment)
        isLastSealed = false
        scanned.append(.init(segment: segment, index: SegmentIndex.encoded(segment, states)))
        if segment.size > syncedTo || !isWhole { unsynced.append(segment) }
        guard !isWhole else { return true }
        log.warning(
            "cut off a write that a crash had interrupted",
            [
                ("file", file.path), ("bytes", size - segment.size), ("position", segment.size),
                ("offset", segment.endOffset),
            ])
        try file.truncate(to: segment.size)
        return false
    }

    private func sizeDamage(
        _ file: any OpenFile, _ size: Int64, _ index: SegmentIndex
    ) throws(SystemError) -> Damage {
        var position: Int64 = 0
        var offset = index.baseOffset
        _ = try BatchScanner.scan(
            file, 0..<min(size, index.size), window: BatchScanner.wideWindow, checking: true
        ) { header, at in
            guard header.baseOffset == offset else { return false }
            position = at + Int64(header.totalBytes)
            offset = header.lastOffset + 1
            return true
        }
        let rm = "rm \(path(SegmentName.index(index.baseOffset)))"
        return Damage(
            path: file.path, position: position, offset: offset,
            reason: "a sealed segment has \(size) bytes and not \(index.size)",
            cut: "truncate -s \(position) \(file.path) && \(rm)")
    }

    /// Removes segments that began after bytes which did not last.
    private mutating func drop(_ bases: ArraySlice<Int64>) throws(SystemError) {
        for base in bases.reversed() {
            log.warning("removed a segment that follows lost bytes", [("file", path(SegmentName.log(base)))])
            try files.remove(path(SegmentName.log(base)))
            hasRemoved = true
        }
    }

    /// Without durability a power cut may leave less than what DeleteRecords had passed: then nothing is left to keep.
    private mutating func startAfresh() throws(SystemError) {
        guard let end = segments.last?.endOffset, end < logStart else { return }
        log.warning(
            "the log ends before its start: beginning anew there",
            [("directory", directory), ("end", end), ("start", logStart)])
        if try files.list(directory).contains(PartitionLog.markFile) {
            try files.remove(path(PartitionLog.markFile))
            try files.syncDirectory(directory)
        }
        mark = nil
        for segment in segments.reversed() { try files.remove(segment.file.path) }
        hasRemoved = true
        segments = []
        scanned = []
        unsynced = []
        isLastSealed = false
    }

    private func path(_ name: String) -> String { directory + "/" + name }
}
