internal import Platform

/// One file of a partition's log: batches back to back, named by the first offset, with a sparse index in memory.
///
/// The index has an entry about every 4 KiB, so any offset is found with one small read; it costs 24 bytes an entry,
/// 6 MB for a gigabyte.
final class Segment {
    /// A batch that begins at `position`.
    struct IndexEntry: Equatable {
        let offset: Int64
        let position: Int64
        /// The largest timestamp in the segment before this batch; `noTimestamp` at its start.
        let maxTimestampBefore: Int64
    }

    static let indexInterval = 4096
    /// Smaller than every timestamp, also than the -1 of records without one.
    static let noTimestamp = Int64.min
    private static let smallestReservation: Int64 = 1 << 20
    private static let largestReservation: Int64 = 16 << 20

    let baseOffset: Int64
    let file: any OpenFile
    private(set) var size: Int64 = 0
    /// One past the last offset.
    private(set) var endOffset: Int64
    private(set) var maxTimestamp = noTimestamp
    private(set) var entries: [IndexEntry] = []
    /// Wall clock of the first and last append; of the opening for what was found then.
    private(set) var firstAppend: Int64?
    private(set) var lastAppend: Int64 = 0
    private var reservedTo: Int64 = 0

    /// A segment without batches.
    init(baseOffset: Int64, file: any OpenFile) {
        self.baseOffset = baseOffset
        self.file = file
        endOffset = baseOffset
    }

    /// A sealed segment, as its index file describes it.
    init(file: any OpenFile, index: SegmentIndex) {
        self.file = file
        baseOffset = index.baseOffset
        size = index.size
        endOffset = index.endOffset
        maxTimestamp = index.maxTimestamp
        entries = index.entries
        firstAppend = index.lastAppend
        lastAppend = index.lastAppend
    }

    var isEmpty: Bool { size == 0 }

    /// Takes up a batch that lies at the end of the file.
    func note(_ header: RecordBatchHeader, now: Int64) {
        let previous = entries.last?.position
        if previous.map({ size - $0 >= Int64(Self.indexInterval) }) ?? true {
            let entry = IndexEntry(offset: header.baseOffset, position: size, maxTimestampBefore: maxTimestamp)
            entries.append(entry)
        }
        size += Int64(header.totalBytes)
        endOffset = header.lastOffset + 1
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
        if firstAppend == nil { firstAppend = now }
        lastAppend = now
    }

    /// Reserves blocks for `count` more bytes: a sync that need not allocate costs half.
    ///
    /// As much as there is already, between 1 and 16 MiB, and nothing for the first bytes: a thousand small partitions
    /// must not take gigabytes.
    func reserve(for count: Int) {
        let needed = size + Int64(count)
        guard needed > reservedTo, size >= Self.smallestReservation / 4 else { return }
        let step = min(max(size, Self.smallestReservation), Self.largestReservation) + Int64(count)
        file.reserve(from: size, count: step)
        reservedTo = size + step
    }

    /// Gives reserved blocks back when nothing more will be appended.
    func releaseReservation() {
        guard reservedTo > size else { return }
        reservedTo = 0
        // Only space is at stake, and the next opening of the file would try again.
        try? file.truncate(to: size)
    }

    /// The last entry at or before an offset in this segment.
    func entry(forOffset offset: Int64) -> IndexEntry? { lastEntry { $0.offset <= offset } }

    /// The last entry at or before a position.
    func entry(forPosition position: Int64) -> IndexEntry? { lastEntry { $0.position <= position } }

    /// The last entry before which no record is as late as `timestamp`.
    func entry(beforeTimestamp timestamp: Int64) -> IndexEntry? { lastEntry { $0.maxTimestampBefore < timestamp } }

    /// The last entry for which `isBefore` holds; it holds for a prefix of the entries.
    private func lastEntry(where isBefore: (IndexEntry) -> Bool) -> IndexEntry? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(entries[middle]) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : entries[low - 1]
    }
}

/// The names of a segment's files.
enum SegmentName {
    private static let digits = 20
    /// So far from the largest integer that no arithmetic on offsets can overflow.
    static let largestOffset = Int64.max / 4

    static func log(_ baseOffset: Int64) -> String { padded(baseOffset) + ".log" }
    static func index(_ baseOffset: Int64) -> String { padded(baseOffset) + ".index" }

    /// The offset in a file's name; nil for a file that is not ours.
    static func baseOffset(ofLog name: String) -> Int64? { baseOffset(name, suffix: ".log") }
    static func baseOffset(ofIndex name: String) -> Int64? { baseOffset(name, suffix: ".index") }

    private static func baseOffset(_ name: String, suffix: String) -> Int64? {
        guard name.hasSuffix(suffix) else { return nil }
        let number = name.dropLast(suffix.count)
        guard number.utf8.count == digits, number.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Int64(number).flatMap { $0 <= largestOffset ? $0 : nil }
    }

    private static func padded(_ offset: Int64) -> String {
        let number = String(offset)
        return String(repeating: "0", count: max(0, digits - number.count)) + number
    }
}
