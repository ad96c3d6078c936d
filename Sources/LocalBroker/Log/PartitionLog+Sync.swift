internal import Platform

// Syncing. The order matters twice:
// - The mark and the index files are written after the sync that they tell of, so a crash can make them late, never early.
// - A ticket holds the sealed segments before the active one and the folder last; it counts only as a whole. So if a
//   batch counts as synced, so do all before it, and the names of the files they are in.
extension PartitionLog {
    /// What should be synced now; nil when there is nothing, or the last ticket was not answered yet.
    ///
    /// `now` is of a clock that never goes back, and `nextSync` of the same. Each ticket must be answered by `synced` or
    /// `syncFailed`.
    func takeUnsynced(now: Int64) -> SyncTicket? {
        guard !isOffline, !isSyncing, let active = segments.last else { return nil }
        var takesActive = syncedTo.offset < active.endOffset
        switch durability {
        case .batch: break
        case .interval:
            if takesActive, now - lastSyncTaken < Durability.intervalMilliseconds { return nil }
        case .never: takesActive = false
        }
        guard takesActive || !sealed.isEmpty || hasNewName else { return nil }
        isSyncing = true
        lastSyncTaken = now
        return ticket(takesActive: takesActive, active)
    }

    /// When the next `takeUnsynced` could have something that it held back; nil when only appends can change that.
    var nextSync: Int64? {
        guard durability == .interval, !isOffline, !isSyncing, syncedTo.offset < logEnd else { return nil }
        return lastSyncTaken + Durability.intervalMilliseconds
    }

    private func ticket(takesActive: Bool, _ active: Segment) -> SyncTicket {
        var toSync = sealed.map { $0.segment.file }
        if takesActive { toSync.append(active.file) }
        if markMoved, let markHandle { toSync.append(markHandle) }
        let place = Place(
            segment: active.baseOffset, position: takesActive ? active.size : 0,
            offset: takesActive ? active.endOffset : active.baseOffset)
        return SyncTicket(files: toSync, directories: hasNewName ? [directory] : [], mark: .log(place))
    }

    /// The ticket's files are on the disk.
    func synced(_ ticket: SyncTicket) {
        isSyncing = false
        guard !isOffline, case .log(let place) = ticket.mark else { return }
        let finished = sealed.prefix { $0.segment.baseOffset < place.segment }
        sealed.removeFirst(finished.count)
        markMoved = place.segment != syncedTo.segment
        // A segment that was started after the ticket was made has its name still before it.
        if segments.last?.baseOffset == place.segment { hasNewName = false }
        if place.offset > syncedTo.offset || markMoved { advance(to: place) }
        for one in finished { writeIndex(one) }
    }

    /// A sync failed: the kernel may have dropped what it could not write, and would report the next sync as a success.
    func syncFailed(_ ticket: SyncTicket, _ error: SystemError) {
        isSyncing = false
        goOffline("a sync failed, so what was written last may be lost: \(error); check the disk and start again")
    }

    /// Syncs everything, here and now.
    func syncAll() {
        guard let active = segments.last else { return }
        let all = ticket(takesActive: true, active)
        do {
            for file in all.files { try file.sync() }
            for directory in all.directories { try files.syncDirectory(directory) }
            synced(all)
        } catch {
            syncFailed(all, error)
        }
    }

    private func advance(to place: Place) {
        syncedTo = place
        let mark = SyncedMark(file: place.segment, position: place.position)
        do {
            try markHandle?.write(mark.encoded(), at: 0)
        } catch {
            // An older mark is a true one too.
            log.warning("cannot note what is synced", [("directory", directory), ("error", error)])
        }
    }

    /// Without it the segment is read again at the next start, so a failure is only worth a line.
    func writeIndex(_ sealed: Sealed) {
        // Retention may have removed the segment while it was being synced.
        guard segments.contains(where: { $0 === sealed.segment }) else { return }
        do {
            let file = try files.open(path(SegmentName.index(sealed.segment.baseOffset)), .replaced)
            try file.write(sealed.index, at: 0)
        } catch {
            log.warning("cannot write an index", [("segment", sealed.segment.file.path), ("error", error)])
        }
    }
}
