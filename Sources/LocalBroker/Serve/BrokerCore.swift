// The broker itself, confined to the loop's thread: what it keeps, and what a turn of the loop does with it.
//
// The life of a produced batch: its frame is decoded where it lies (`+Requests`), the batch is checked and written to its
// partition's file (`+Produce`, PartitionLog), the file is noted as unsynced. At the end of the turn the syncer gets all
// unsynced files (`+Sync`). When a file is on the disk, its records become visible, the fetches that wait for them are
// answered (`+Fetch`), and so are the produce requests.

internal import Platform

final class BrokerCore: LoopService {
    let configuration: BrokerConfiguration
    let advertised: Endpoint
    let log: Log
    let files: any FileLayer
    /// Nil when the broker has ended, and the folder is free.
    private var folder: DataFolder?
    let root: String

    var catalog: Catalog
    var topics: [String: Topic] = [:]
    var groups: GroupCoordinator
    let journal: Journal
    /// How large the journal may be before it is rewritten; a multiple of what it needs to be.
    var journalSizeToCompact = smallestJournalToCompact
    static let smallestJournalToCompact: Int64 = 1 << 20
    var nextPartitionID: UInt64 = 1

    // Group commit (`+Sync`).
    let syncer: Syncer
    var unsynced: [Partition] = []
    var syncing: [UInt64: Partition] = [:]
    var nextSync: Int64?
    var waitingForJournal = Queue<(entry: UInt64, wait: DurableWait)>()
    /// The journal's last entry when the request that is being handled came: what is behind it, the request has written.
    var entryBeforeRequest: UInt64 = 0

    // Long polls (`+Fetch`).
    var polls = Timers<PendingFetch>()
    /// Most polls are answered long before their deadline; past this many the answered ones are let go.
    var pollsBeforeTidying = 1024
    var partitionsToWake: [Partition] = []
    /// How often fetches looked at what there is.
    var looks: UInt64 = 0

    // What the group coordinator owes (`+Groups`).
    var owedGroupAnswers: [ReplyToken: (call: Call, connection: UInt64)] = [:]
    /// The same by connection, to be found when it is closed.
    var owedByConnection: [UInt64: Set<ReplyToken>] = [:]
    var nextReplyToken: UInt64 = 1

    /// Producer ids that may be given out without asking the journal.
    var producerIDs: Range<Int64>

    /// The only node of this cluster.
    static let nodeID: Int32 = 1

    /// Opens the folder and recovers what is in it.
    init(
        _ configuration: BrokerConfiguration, port: UInt16, files: any FileLayer, doorbell: Doorbell, log: Log
    ) throws {
        self.configuration = configuration
        self.files = files
        self.log = log
        advertised = configuration.advertise ?? Endpoint(host: Self.reachable(configuration.listen.host), port: port)
        let folder = try DataFolder(configuration.dataFolder, files: files)
        root = folder.path
        self.folder = folder

        var catalog = Catalog()
        var groups = GroupCoordinator(
            settings: GroupCoordinator.Settings(
                initialDelay: configuration.housekeeping.firstRebalanceDelayMilliseconds))
        var fault: BrokerFault?
        journal = try Journal.open(
            directory: folder.path, name: "journal", files: files, durability: configuration.durability, log: log
        ) { bytes in
            do throws(BrokerFault) {
                switch try JournalEntry(bytes) {
                case .catalog(let record):
                    catalog.apply(record)
                    if case .topicDeleted(let name, _) = record { groups.restore(removalOf: name) }
                case .group(let record): groups.restore(record)
                }
            } catch {
                fault = fault ?? error
            }
        }
        if let fault { throw fault }
        groups.resume(now: Time.monotonicMilliseconds)
        producerIDs = catalog.producerIDsEnd..<catalog.producerIDsEnd
        self.catalog = catalog
        self.groups = groups
        syncer = try Syncer(files: files, finished: doorbell)
        do {
            if catalog.clusterID == nil, !write(.catalog(.cluster(id: "\(UUID128.random())"))) {
                throw BrokerFault("cannot write the journal in \(root); see the log")
            }
            try openTopics()
            removeDeletedTopics()
        } catch {
            syncer.stop()
            throw error
        }
    }

    /// Clients can't connect to "any address".
    private static func reachable(_ host: String) -> String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        default: host
        }
    }

    // MARK: LoopService

    func wake(now: Int64) { takeSyncOutcomes() }

    func endOfTurn(now: Int64) {
        entryBeforeRequest = journal.lastEntry
        if let deadline = groups.nextDeadline, deadline <= now { emit(groups.tick(now: now)) }
        startSync(now: now)
        wakeFetches()
        endDuePolls(now: now)
        compactJournal()
    }

    var nextDeadline: Int64? {
        [polls.next, groups.nextDeadline, nextSync].compactMap(\.self).min()
    }

    /// What was written is still owed its sync; those who only wait for records are let go.
    var hasFinished: Bool { syncing.isEmpty && waitingForJournal.isEmpty }

    func connectionsClosed(_ ids: [UInt64], now: Int64) { forgetMembers(behind: ids, now: now) }

    func housekeeping(now: Int64) {
        let wall = Time.wallMilliseconds
        for topic in topics.values {
            for partition in topic.partitions {
                partition.log.enforceRetention(now: wall)
                markUnsynced(partition)
            }
        }
    }

    /// Everything to the disk, and the folder free. Called once, when the loop has ended.
    func close() {
        syncer.stop()
        takeSyncOutcomes()
        forgetWaits()
        forgetFetches()
        for topic in topics.values {
            for partition in topic.partitions { partition.log.close() }
        }
        journal.close()
        folder = nil
        log.info("broker has stopped")
    }
}
