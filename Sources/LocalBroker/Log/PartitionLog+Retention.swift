internal import Platform

// Moving the start. The new start is on the disk before the first file goes: then it does not matter which of the
// removals a power cut forgets, as what lies below the start is removed again at the next opening.
extension PartitionLog {
    /// Makes `offset` the first that may be read and removes the segments before it. -1 means all that is visible.
    ///
    /// Returns the start, which is the old one when that is later. It is durable.
    func deleteRecords(before offset: Int64) throws(ReadFault) -> Int64 {
        guard !isOffline else { throw .storage }
        let target = offset == -1 ? visibleEnd : offset
        guard target >= 0, target <= visibleEnd else { throw .outOfRange }
        do {
            try moveStart(to: target)
        } catch {
            log.error("cannot delete records", [("directory", directory), ("error", error)])
            throw .storage
        }
        return logStart
    }

    /// Removes what is past its time or beyond the size, seals a segment that is old, forgets idle producers.
    ///
    /// To be called now and then with the wall clock; a failure is logged and the next call tries again.
    func enforceRetention(now: Int64) {
        guard !isOffline else { return }
        producers.expire(now: now)
        do {
            if let active = segments.last, isOld(active, now: now) || isExpired(active, now: now) {
                try roll()
            }
            try moveStart(to: retained(now: now))
        } catch {
            log.error("cannot enforce retention", [("directory", directory), ("error", error)])
        }
    }

    /// The base offset of the first segment to be kept.
    private func retained(now: Int64) -> Int64 {
        var excess = settings.retentionBytes.map { size - $0 } ?? 0
        var keep = logStart
        for (segment, next) in zip(segments, segments.dropFirst()) {
            let isTooMuch = excess >= segment.size && settings.retentionBytes != nil
            guard isTooMuch || isExpired(segment, now: now) else { break }
            // What waits for its sync stays until it has had it: its producers wait for the acknowledgement.
            guard segment.endOffset <= syncedTo.offset else { break }
            excess -= segment.size
            keep = max(keep, next.baseOffset)
        }
        return keep
    }

    private func isExpired(_ segment: Segment, now: Int64) -> Bool {
        guard let retention = settings.retentionMilliseconds else { return false }
        // Records without a time are as old as their arrival.
        let latest = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.lastAppend
        return latest < now - retention
    }

    private func moveStart(to offset: Int64) throws(SystemError) {
        guard offset > logStart else { return }
        var writer = ByteWriter()
        writer.put(offset)
        try SmallFile.replace(Self.startFile, in: directory, with: writer.sealed(), files)
        logStart = offset
        while segments.count > 1, segments[1].baseOffset <= offset { try removeFirst() }
    }

    /// The list goes first: a file that cannot be removed is a leftover, which the next opening tries again.
    private func removeFirst() throws(SystemError) {
        let first = segments.removeFirst()
        sealed.removeAll { $0.segment === first }
        let names = try files.list(directory)
        for name in [SegmentName.log(first.baseOffset), SegmentName.index(first.baseOffset)] where names.contains(name)
        {
            try files.remove(path(name))
        }
    }

    /// The start that was noted in a folder; nil when there is none, or none that its checksum confirms.
    static func notedStart(_ directory: String, _ files: any FileLayer) throws(SystemError) -> Int64? {
        guard let bytes = try SmallFile.read(directory + "/" + startFile, limit: 64, files),
            var reader = ByteReader(sealed: bytes), let start = reader.take(Int64.self),
            (0...SegmentName.largestOffset).contains(start)
        else { return nil }
        return start
    }
}
