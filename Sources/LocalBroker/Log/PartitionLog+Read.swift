internal import Platform

// Reading: a slice of one segment's file that begins and ends between batches, for sendfile. Its place is found with the
// sparse index and at most two small reads of headers; the records are never touched.
extension PartitionLog {
    /// The batches from the one that holds offset `from`, at most `maxBytes` of them; nil when there are none yet.
    ///
    /// `atLeastOne` gives a first batch that is larger than `maxBytes` whole, so that a consumer gets past it.
    func read(from offset: Int64, maxBytes: Int, atLeastOne: Bool) throws(ReadFault) -> LogSlice? {
        guard !isOffline else { throw .storage }
        guard offset >= logStart, offset <= logEnd else { throw .outOfRange }
        guard offset < visibleEnd else { return nil }
        do {
            // After the repair of a damaged segment offsets may be missing: then the next segment has the next batch.
            for segment in segments[segmentIndex(for: offset)...] {
                let end = visibleSize(of: segment)
                guard let start = try position(of: offset, in: segment, end: end) else { continue }
                return try slice(of: segment, start..<end, maxBytes: maxBytes, atLeastOne: atLeastOne)
            }
            return nil
        } catch {
            log.error("cannot read", [("directory", directory), ("error", error)])
            throw .storage
        }
    }

    /// The index of the last segment that begins at or before `offset`.
    func segmentIndex(for offset: Int64) -> Int {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].baseOffset <= offset { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }

    /// How much of a segment consumers may read.
    func visibleSize(of segment: Segment) -> Int64 {
        guard durability == .batch, segment.baseOffset >= syncedTo.segment else { return segment.size }
        return segment.baseOffset == syncedTo.segment ? syncedTo.position : 0
    }

    /// Where the first batch begins that ends at or after `offset`; nil when that is not before `end`.
    func position(of offset: Int64, in segment: Segment, end: Int64) throws(SystemError) -> Int64? {
        let from = segment.entry(forOffset: offset)?.position ?? 0
        guard from < end else { return nil }
        return try first(in: segment, from..<end) { $0.lastOffset >= offset }
    }

    private func slice(
        of segment: Segment, _ range: Range<Int64>, maxBytes: Int, atLeastOne: Bool
    ) throws(SystemError) -> LogSlice? {
        let wanted = range.lowerBound + Int64(min(max(0, maxBytes), Int(Int32.max)))
        var end = range.upperBound
        if wanted < end {
            // The last batch that begins at or before the limit ends the slice, or begins what is left out.
            let from = max(range.lowerBound, segment.entry(forPosition: wanted)?.position ?? 0)
            end = try first(in: segment, from..<end) { wanted - Int64($0.totalBytes) < $1 } ?? end
            if end == range.lowerBound, atLeastOne {
                var size = 0
                _ = try first(in: segment, range) { header, _ in
                    size = header.totalBytes
                    return true
                }
                end += Int64(size)
            }
        }
        guard end > range.lowerBound else { return nil }
        return LogSlice(file: segment.file, position: Int(range.lowerBound), count: Int(end - range.lowerBound))
    }

    /// The position of the first batch in `range` that `isWanted`.
    private func first(
        in segment: Segment, _ range: Range<Int64>, _ isWanted: (RecordBatchHeader, Int64) -> Bool
    ) throws(SystemError) -> Int64? {
        let end = try BatchScanner.scan(
            segment.file, range, window: BatchScanner.narrowWindow, checking: false
        ) { !isWanted($0, $1) }
        switch end {
        case .complete: return nil
        case .stopped(let position): return position
        case .bad: throw SystemError.damaged(segment.file.path)
        }
    }

    private func first(
        in segment: Segment, _ range: Range<Int64>, _ isWanted: (RecordBatchHeader) -> Bool
    ) throws(SystemError) -> Int64? {
        try first(in: segment, range) { header, _ in isWanted(header) }
    }
}
