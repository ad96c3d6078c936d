// Where things are in the data folder:
//
//   lock, format             DataFolder
//   journal, …               Journal: topics, settings, groups, committed offsets
//   topics/NAME/ID/0/…       PartitionLog, one folder a partition
//
// The id tells a topic from a deleted one of the same name. What belongs to no topic is never removed on a guess: only
// what the journal says was deleted.

internal import Glibc
internal import Platform

extension BrokerCore {
    private var topicsFolder: String { root + "/topics" }

    private func path(_ name: String, _ id: UUID128) -> String { "\(topicsFolder)/\(name)/\(id)" }

    /// Opens a topic's partitions, making the folders that are missing.
    func open(_ entry: TopicEntry) throws(BrokerFault) -> Topic {
        let topic = Topic(entry)
        try openPartitions(of: entry, into: topic)
        return topic
    }

    /// Opens those partitions of `entry` that `topic` has not got yet.
    func openPartitions(of entry: TopicEntry, into topic: Topic) throws(BrokerFault) {
        do throws(SystemError) {
            try makeFolder(topicsFolder, in: root)
            try makeFolder("\(topicsFolder)/\(entry.name)", in: topicsFolder)
            try makeFolder(path(entry.name, entry.id), in: "\(topicsFolder)/\(entry.name)")
            for number in Int32(topic.partitions.count)..<max(entry.partitions, Int32(topic.partitions.count)) {
                let directory = "\(path(entry.name, entry.id))/\(number)"
                let log = try PartitionLog.open(
                    directory: directory, files: files, settings: LogSettings(entry.config),
                    durability: configuration.durability, log: log, now: Time.wallMilliseconds)
                let partition = Partition(id: nextPartitionID, topic: entry.name, number: number, log: log)
                nextPartitionID += 1
                topic.add(partition)
                markUnsynced(partition)
            }
        } catch {
            throw BrokerFault("cannot open topic \(entry.name): \(error)")
        }
    }

    /// A folder whose name is on the disk before anything in it is relied on.
    private func makeFolder(_ path: String, in parent: String) throws(SystemError) {
        try files.makeDirectory(path)
        try files.syncDirectory(parent)
    }

    /// Removes a partition whose topic is deleted. Those who wait for it are told.
    func destroy(_ partition: Partition) {
        do throws(SystemError) {
            try partition.log.destroy()
        } catch {
            log.warning("cannot remove a partition's files", [("topic", partition.topic), ("reason", error)])
        }
        settle(partition)
    }

    /// Completes the removals that a crash cut short.
    func removeDeletedTopics() {
        for (id, name) in catalog.deletedTopics { removeFolder(name, id) }
    }

    /// Removes what is left of a deleted topic. A failure costs only space, and the next start tries again.
    func removeFolder(_ name: String, _ id: UUID128) {
        do throws(SystemError) {
            let folder = path(name, id)
            guard let numbers = try list(ifThere: folder) else { return catalog.forgetDeletedTopic(id) }
            for number in numbers {
                for file in try files.list("\(folder)/\(number)") { try files.remove("\(folder)/\(number)/\(file)") }
                try files.removeDirectory("\(folder)/\(number)")
            }
            try files.removeDirectory(folder)
            if try files.list("\(topicsFolder)/\(name)").isEmpty {
                try files.removeDirectory("\(topicsFolder)/\(name)")
            }
            catalog.forgetDeletedTopic(id)
        } catch {
            log.warning("cannot remove a deleted topic's files", [("topic", name), ("reason", error)])
        }
    }

    private func list(ifThere folder: String) throws(SystemError) -> [String]? {
        do throws(SystemError) {
            return try files.list(folder)
        } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
    }

    // MARK: The journal

    /// Writes a change to the journal, and makes it. False when it could not be written, and then it is not made.
    func write(_ entry: JournalEntry) -> Bool {
        do throws(SystemError) {
            try journal.append([entry.encoded])
        } catch {
            log.error("cannot write the journal", [("reason", error)])
            return false
        }
        if case .catalog(let record) = entry { catalog.apply(record) }
        return true
    }

    /// Writes changes of groups to the journal, all or none; they are made already.
    func write(_ records: [GroupRecord]) -> Bool {
        do throws(SystemError) {
            try journal.append(records.map { JournalEntry.group($0).encoded })
            return true
        } catch {
            log.error("cannot write the journal", [("reason", error)])
            return false
        }
    }

    /// Rewrites the journal when most of it is history.
    func compactJournal() {
        guard journal.size > journalSizeToCompact else { return }
        let snapshot = catalog.snapshot.map(JournalEntry.catalog) + groups.snapshot().map(JournalEntry.group)
        do throws(SystemError) {
            try journal.rewrite(snapshot.map(\.encoded))
        } catch {
            log.error("cannot compact the journal", [("reason", error)])
        }
        journalSizeToCompact = max(Self.smallestJournalToCompact, 4 * journal.size)
        settleJournal()
    }
}

extension LogSettings {
    init(_ config: TopicConfig) {
        self.init(
            segmentBytes: config.segmentBytes, segmentMilliseconds: config.segmentMilliseconds,
            retentionMilliseconds: config.retentionMilliseconds < 0 ? nil : config.retentionMilliseconds,
            retentionBytes: config.retentionBytes < 0 ? nil : config.retentionBytes,
            largestBatch: Int(config.maxMessageBytes))
    }
}
