internal import Glibc
internal import Platform

extension PartitionLog {
    /// Opens the log in `directory`, making both when they are missing; the parent folder must exist.
    ///
    /// What is found is on the disk, and so visible, when this returns. Damage does not throw: the log is then offline,
    /// so that the other partitions can go on. `now` is the wall clock. With `syncsParent` false the caller makes the name
    /// of `directory` survive a power cut, at every opening, before it relies on anything inside: once for many partitions.
    static func open(
        directory: String, files: any FileLayer, settings: LogSettings, durability: Durability, log: Log, now: Int64,
        syncsParent: Bool = true
    ) throws(SystemError) -> PartitionLog {
        try files.makeDirectory(directory)
        var recovery = LogRecovery(directory: directory, files: files, log: log, now: now)
        var unreadable: SystemError?
        do {
            try recovery.run()
        } catch {
            // A disk that cannot read is the partition's trouble; one that is full or forbidden is the broker's.
            guard error.code == EIO else { throw error }
            unreadable = error
        }
        if recovery.damage != nil || unreadable != nil {
            let opened = PartitionLog(
                directory: directory, files: files, settings: settings, durability: durability, log: log, segments: [],
                producers: ProducerStates(), logStart: recovery.logStart, markHandle: nil, offlineReason: nil)
            opened.reportDamage(recovery.damage, unreadable)
            return opened
        }
        return try opened(recovery, settings, durability, syncsParent: syncsParent)
    }

    private static func opened(
        _ recovery: LogRecovery, _ settings: LogSettings, _ durability: Durability, syncsParent: Bool
    ) throws(SystemError) -> PartitionLog {
        let files = recovery.files
        let directory = recovery.directory
        var segments = recovery.segments
        if segments.isEmpty || recovery.isLastSealed {
            let base = segments.last?.endOffset ?? recovery.logStart
            let file = try files.open(directory + "/" + SegmentName.log(base), .new)
            segments.append(Segment(baseOffset: base, file: file))
        }
        for segment in recovery.unsynced { try segment.file.sync() }
        // Not always: with thousands of partitions these syncs would be most of a start.
        if recovery.hasUnsyncedNames { try files.syncDirectory(directory) }
        let parent = directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? ""
        if syncsParent, recovery.mark == nil, !parent.isEmpty { try files.syncDirectory(parent) }
        // Only now: a mark must not exist before the name of the segment that it is about.
        let mark = try files.open(directory + "/" + markFile, .existingOrNew)
        let opened = PartitionLog(
            directory: directory, files: files, settings: settings, durability: durability, log: recovery.log,
            segments: segments, producers: recovery.producers, logStart: recovery.logStart, markHandle: mark,
            offlineReason: nil)
        let now = SyncedMark(file: opened.syncedTo.segment, position: opened.syncedTo.position)
        if now != recovery.mark { try mark.write(now.encoded(), at: 0) }
        // The mark's own name is synced with the first ticket.
        opened.hasNewName = recovery.mark == nil
        for sealed in recovery.scanned where sealed.segment !== segments.last { opened.writeIndex(sealed) }
        return opened
    }

    private func reportDamage(_ damage: LogRecovery.Damage?, _ unreadable: SystemError?) {
        guard let damage else {
            return goOffline("its files cannot be read: \(unreadable.map { "\($0)" } ?? "unknown"); check the disk")
        }
        offlineReason = damage.description
        log.error(
            "partition is offline: restore the file from a copy, or cut it there, losing what follows; then start again",
            [
                ("reason", damage.reason), ("file", damage.path), ("position", damage.position),
                ("offset", damage.offset), ("cut", damage.cut),
            ])
    }
}
