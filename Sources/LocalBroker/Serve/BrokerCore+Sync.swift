// Group commit. At the end of a turn every file that has unsynced bytes is handed to the syncer, unless it still has that
// file's last ticket; what is appended meanwhile goes with the next. So the cost of a sync is shared by all batches that
// came while the one before was under way: nobody chooses a batch size, the disk's own speed does.
//
// Who waits for what: an answer waits for the partitions that its request wrote to, and for the journal if it changed
// something there, and leaves when the last of them is on the disk.

internal import Platform

/// An answer that leaves when everything it waits for is on the disk, or never will be.
final class DurableWait {
    private var remaining: Int
    private let give: () -> Void

    init(for count: Int, _ give: @escaping () -> Void) {
        remaining = count
        self.give = give
    }

    func settle() {
        remaining -= 1
        if remaining == 0 { give() }
    }
}

extension BrokerCore {
    /// By which the syncer's outcomes name the journal; partitions have their own numbers from 1.
    private static let journalOwner: UInt64 = 0

    /// Calls `give` when what was written is on the disk, as far as was promised; at once if it already is.
    ///
    /// A partition that has gone offline is not waited for: the answer is to say so.
    func whenDurable(_ written: [(partition: Partition, lastOffset: Int64)], _ give: @escaping () -> Void) {
        let open = written.filter { $0.partition.log.visibleEnd <= $0.lastOffset && !$0.partition.log.isOffline }
        guard !open.isEmpty else { return give() }
        let wait = DurableWait(for: open.count, give)
        for (partition, lastOffset) in open { partition.waitingForDisk.append((lastOffset, wait)) }
    }

    /// Calls `give` when the journal's last entry may be relied on, or with false when it never may; at once if that is
    /// known already.
    func whenDurable(_ give: @escaping (_ isDurable: Bool) -> Void) {
        let entry = journal.lastEntry
        guard journal.settledEntry < entry else { return give(true) }
        // A journal that failed before this request still lets everybody read.
        guard journal.failure == nil else { return give(entry <= entryBeforeRequest) }
        let wait = DurableWait(for: 1) { [journal] in give(journal.settledEntry >= entry) }
        waitingForJournal.append((entry, wait))
    }

    /// Notes that a partition may have bytes that are not on the disk.
    func markUnsynced(_ partition: Partition) {
        guard !partition.isUnsynced else { return }
        partition.isUnsynced = true
        unsynced.append(partition)
    }

    /// Hands over what is unsynced, and remembers when to look again at what may wait a little.
    func startSync(now: Int64) {
        var jobs: [Syncer.Job] = []
        var later: [Partition] = []
        nextSync = journal.nextSync
        for partition in unsynced {
            if let ticket = partition.log.takeUnsynced(now: now) {
                jobs.append(Syncer.Job(owner: partition.id, ticket: ticket))
                syncing[partition.id] = partition
                partition.isUnsynced = false
            } else if let next = partition.log.nextSync {
                nextSync = min(nextSync ?? next, next)
                later.append(partition)
            } else {
                partition.isUnsynced = false
                // No sync will come that could answer those who wait.
                if partition.log.isOffline { settle(partition) }
            }
        }
        unsynced = later
        if journal.failure != nil { settleJournal() }
        if let ticket = journal.takeUnsynced(now: now) {
            jobs.append(Syncer.Job(owner: Self.journalOwner, ticket: ticket))
        }
        syncer.submit(jobs)
    }

    func takeSyncOutcomes() {
        for outcome in syncer.take() {
            if outcome.owner == Self.journalOwner {
                if let error = outcome.error {
                    journal.syncFailed(outcome.ticket, error)
                } else {
                    journal.synced(outcome.ticket)
                }
                settleJournal()
            } else if let partition = syncing.removeValue(forKey: outcome.owner) {
                if let error = outcome.error {
                    partition.log.syncFailed(outcome.ticket, error)
                } else {
                    partition.log.synced(outcome.ticket)
                }
                settle(partition)
                // What came meanwhile.
                markUnsynced(partition)
            }
        }
    }

    /// Gives the answers that waited for what is on the disk now, and wakes the consumers that may read it now.
    func settle(_ partition: Partition) {
        while let first = partition.waitingForDisk.first,
            first.offset < partition.log.visibleEnd || partition.log.isOffline
        {
            partition.waitingForDisk.removeFirst()
            first.wait.settle()
        }
        markForWaking(partition)
    }

    /// When nobody is answered any more: partitions and the answers that wait for them hold each other, and would for ever.
    /// Whatever is waited for has bytes that no sync was begun for, as all that were begun have ended.
    func forgetWaits() {
        for partition in unsynced { partition.waitingForDisk = Queue() }
    }

    func settleJournal() {
        while let first = waitingForJournal.first,
            first.entry <= journal.settledEntry || journal.failure != nil
        {
            waitingForJournal.removeFirst()
            first.wait.settle()
        }
    }
}
