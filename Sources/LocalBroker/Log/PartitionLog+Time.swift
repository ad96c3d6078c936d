internal import Glibc
internal import Platform

// Lookup by time. The segments' and the index's largest timestamps lead to the one batch that may hold the first record
// at or after a time; that batch is opened, decompressed if need be, and the record found exactly. When it cannot be
// decompressed, or the request's budget for that is spent, the answer is the batch's first offset: a consumer that starts
// there sees some records too many, and none too few.
extension PartitionLog {
    /// A record's place in the log and in time.
    struct TimedOffset: Equatable, Sendable {
        let offset: Int64
        let timestamp: Int64
    }

    /// The first visible record that is not earlier than `timestamp`.
    func offset(at timestamp: Int64, _ budget: LookupBudget = LookupBudget()) throws(ReadFault) -> TimedOffset? {
        guard !isOffline else { throw .storage }
        do {
            for segment in segments where segment.maxTimestamp >= timestamp && segment.endOffset > logStart {
                if let found = try offset(at: timestamp, in: segment, budget) { return found }
            }
            return nil
        } catch {
            log.error("cannot read", [("directory", directory), ("error", error)])
            throw .storage
        }
    }

    /// The first of the visible records with the largest timestamp.
    func latestTimestamp(_ budget: LookupBudget = LookupBudget()) throws(ReadFault) -> TimedOffset? {
        guard !isOffline else { throw .storage }
        var latest = Segment.noTimestamp
        do {
            for segment in segments where segment.endOffset > logStart && segment.maxTimestamp > latest {
                latest = max(latest, try latestTimestamp(in: segment, budget))
            }
        } catch {
            log.error("cannot read", [("directory", directory), ("error", error)])
            throw .storage
        }
        return latest == Segment.noTimestamp ? nil : try offset(at: latest, budget)
    }

    private func offset(
        at timestamp: Int64, in segment: Segment, _ budget: LookupBudget
    ) throws(SystemError) -> TimedOffset? {
        let end = visibleSize(of: segment)
        let byTime = segment.entry(beforeTimestamp: timestamp)?.position ?? 0
        let byStart = segment.entry(forOffset: logStart)?.position ?? 0
        var from = max(byTime, byStart)
        while from < end {
            var candidate: RecordBatchHeader?
            let outcome = try BatchScanner.scan(
                segment.file, from..<end, window: BatchScanner.narrowWindow, checking: false
            ) { header, _ in
                guard header.maxTimestamp >= timestamp, header.lastOffset >= logStart else { return true }
                candidate = header
                return false
            }
            switch outcome {
            case .complete: return nil
            case .bad: throw SystemError.damaged(segment.file.path)
            case .stopped(let position):
                guard let candidate else { return nil }
                budget.spend(Int(position - from))
                if let found = try find(timestamp, in: candidate, at: position, of: segment, budget) { return found }
                // The batch's last records are earlier, or its header promised too much: go on behind it.
                from = position + Int64(candidate.totalBytes)
            }
        }
        return nil
    }

    private func find(
        _ timestamp: Int64, in header: RecordBatchHeader, at position: Int64, of segment: Segment,
        _ budget: LookupBudget
    ) throws(SystemError) -> TimedOffset? {
        let firstOfBatch = TimedOffset(offset: max(header.baseOffset, logStart), timestamp: header.maxTimestamp)
        guard !budget.isSpent else { return firstOfBatch }
        let count = header.totalBytes - RecordBatchHeader.bytes
        let body = try segment.file.read(count: count, at: position + Int64(RecordBatchHeader.bytes))
        switch RecordTimes.first(in: body, of: header, from: logStart, notBefore: timestamp, budget) {
        case .found(let delta, let time): return TimedOffset(offset: header.baseOffset + delta, timestamp: time)
        case .none: return nil
        case .unreadable: return firstOfBatch
        }
    }

    private func latestTimestamp(in segment: Segment, _ budget: LookupBudget) throws(SystemError) -> Int64 {
        let end = visibleSize(of: segment)
        if end == segment.size, logStart <= segment.baseOffset { return segment.maxTimestamp }
        // Only part of the segment counts. What lies before the last entry is known, unless the start is inside.
        var latest = Segment.noTimestamp
        var from = segment.entry(forOffset: logStart)?.position ?? 0
        if logStart <= segment.baseOffset, end > 0, let entry = segment.entry(forPosition: end - 1) {
            latest = entry.maxTimestampBefore
            from = entry.position
        }
        guard from < end else { return latest }
        budget.spend(Int(end - from))
        let outcome = try BatchScanner.scan(
            segment.file, from..<end, window: BatchScanner.wideWindow, checking: false
        ) { header, _ in
            if header.lastOffset >= logStart { latest = max(latest, header.maxTimestamp) }
            return true
        }
        if case .bad = outcome { throw SystemError.damaged(segment.file.path) }
        return latest
    }
}

extension SystemError {
    /// Bytes that were checked when they were written are not what they were.
    static func damaged(_ path: String) -> SystemError { SystemError(code: EIO, call: "read", subject: path) }
}
