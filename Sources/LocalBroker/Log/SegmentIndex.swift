internal import Platform

/// What a sealed segment's index file holds: the sparse index, and the producers' state at the segment's end.
///
/// The file is written after the segment was synced, and only then; so a valid one proves that the segment's bytes were
/// on the disk, and that a size other than the noted one is damage. It is not synced itself: when it is missing or does
/// not match its checksum, it is made anew by reading the segment.
struct SegmentIndex {
    let baseOffset: Int64
    let endOffset: Int64
    let size: Int64
    let maxTimestamp: Int64
    let lastAppend: Int64
    let entries: [Segment.IndexEntry]
    let producers: ProducerStates

    private static let magic: UInt32 = 0x464c_4958
    private static let version: UInt32 = 1
    private static let entryBytes = 24
    /// Far above what a segment of a gigabyte and ten thousand producers need.
    private static let largestFile: Int64 = 64 << 20

    /// The index file of a segment that will not grow any more.
    static func encoded(_ segment: Segment, _ producers: ProducerStates) -> [UInt8] {
        let snapshot = producers.encoded()
        var writer = ByteWriter(capacity: 64 + segment.entries.count * entryBytes + snapshot.count)
        writer.put(magic)
        writer.put(version)
        writer.put(segment.baseOffset)
        writer.put(segment.endOffset)
        writer.put(segment.size)
        writer.put(segment.maxTimestamp)
        writer.put(segment.lastAppend)
        writer.put(UInt32(segment.entries.count))
        for entry in segment.entries {
            writer.put(entry.offset)
            writer.put(entry.position)
            writer.put(entry.maxTimestampBefore)
        }
        writer.put(snapshot)
        return writer.sealed()
    }

    /// The index file at `path`; nil when there is none that can be trusted.
    static func read(_ path: String, baseOffset: Int64, _ files: any FileLayer) throws(SystemError) -> SegmentIndex? {
        guard let bytes = try SmallFile.read(path, limit: largestFile, files) else { return nil }
        guard let index = SegmentIndex(bytes), index.baseOffset == baseOffset else { return nil }
        return index
    }

    init?(_ bytes: [UInt8]) {
        guard var reader = ByteReader(sealed: bytes),
            reader.take() == Self.magic, reader.take() == Self.version,
            let baseOffset = reader.take(Int64.self), let endOffset = reader.take(Int64.self),
            let size = reader.take(Int64.self), let maxTimestamp = reader.take(Int64.self),
            let lastAppend = reader.take(Int64.self), let count = reader.take(UInt32.self),
            baseOffset <= endOffset, endOffset <= SegmentName.largestOffset,
            Int(count) <= reader.remaining / Self.entryBytes
        else { return nil }
        var entries: [Segment.IndexEntry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let offset = reader.take(Int64.self), let position = reader.take(Int64.self),
                let maxTimestampBefore = reader.take(Int64.self), position >= 0, position < size
            else { return nil }
            entries.append(.init(offset: offset, position: position, maxTimestampBefore: maxTimestampBefore))
        }
        guard let producers = ProducerStates(&reader) else { return nil }
        self.baseOffset = baseOffset
        self.endOffset = endOffset
        self.size = size
        self.maxTimestamp = maxTimestamp
        self.lastAppend = lastAppend
        self.entries = entries
        self.producers = producers
    }
}
