internal import Glibc
internal import Platform

// The broker's own memory: topics, settings, groups, committed offsets, as a file of checked entries that is read once
// at the start and only appended to afterwards. What the entries mean is their writers' business.
//
// The file: a head (magic, version, generation, checksum), then entries (length, checksum of length and content,
// content). When most of it is history the caller has it rewritten from a snapshot: under a new generation, into a new
// file that takes the old one's name, so a crash leaves either. A file `NAME.synced` beside it tells torn writes from
// damage, as for segments. Damage refuses the start: a broker that forgot its topics would be worse than one that is down.

/// Why a journal cannot be opened.
enum JournalFault: Error, CustomStringConvertible {
    case system(SystemError)
    case damaged(String)

    var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .damaged(let what): what
        }
    }
}

/// A journal. Every call comes from the thread that owns it.
final class Journal {
    static let largestEntry = 64 << 20
    static let magic: UInt32 = 0x464c_4a4c
    static let version: UInt32 = 1
    static let headBytes: Int64 = 20
    static let entryHeadBytes = 8

    let directory: String
    let name: String
    let files: any FileLayer
    let durability: Durability
    let log: Log

    private var file: any OpenFile
    private let markHandle: any OpenFile
    private var generation: Int64
    /// Bytes of the file; what decides when a rewrite is worth it.
    private(set) var size: Int64
    /// Entries appended since the opening.
    private(set) var lastEntry: UInt64 = 0
    private(set) var syncedEntry: UInt64 = 0
    private var isSyncing = false
    private var lastSyncTaken = Int64.min / 2
    /// Why nothing is accepted any more.
    private(set) var failure: SystemError?

    /// For `open`, which has read the file.
    init(
        directory: String, name: String, files: any FileLayer, durability: Durability, log: Log,
        file: any OpenFile, markHandle: any OpenFile, generation: Int64, size: Int64
    ) {
        self.directory = directory
        self.name = name
        self.files = files
        self.durability = durability
        self.log = log
        self.file = file
        self.markHandle = markHandle
        self.generation = generation
        self.size = size
    }

    /// The last entry that may be acknowledged.
    var settledEntry: UInt64 { durability == .batch ? syncedEntry : lastEntry }

    /// Appends entries, all or none, and returns the number of the last, to be compared with `settledEntry`.
    @discardableResult
    func append(_ entries: [[UInt8]]) throws(SystemError) -> UInt64 {
        if let failure { throw failure }
        try checkSizes(entries)
        let bytes = Self.encoded(entries)
        do {
            try Self.append(bytes, to: file, at: size)
        } catch {
            switch error {
            case .refused(let cause):
                throw cause
            case .torn(let cause):
                fail(cause)
                throw cause
            }
        }
        size += Int64(bytes.count)
        lastEntry += UInt64(entries.count)
        return lastEntry
    }

    /// Replaces the history by entries that lead to the same state. They are on the disk when this returns.
    ///
    /// When it throws the journal goes on as it was, unless `failure` is set.
    func rewrite(_ snapshot: [[UInt8]]) throws(SystemError) {
        if let failure { throw failure }
        try checkSizes(snapshot)
        let target = directory + "/" + name
        let bytes = Self.head(generation + 1) + Self.encoded(snapshot)
        let fresh = try files.open(target + SmallFile.temporary, .replaced)
        try fresh.write(bytes, at: 0)
        try fresh.sync()
        try files.rename(target + SmallFile.temporary, to: target)
        do {
            // From here on the old file is nobody's: an append to it would be lost without a word.
            file = try files.open(target, .existing)
            try files.syncDirectory(directory)
        } catch {
            fail(error)
            throw error
        }
        generation += 1
        size = Int64(bytes.count)
        settle(entry: lastEntry, position: size)
    }

    /// What should be synced now; nil when there is nothing, or the last ticket was not answered yet.
    func takeUnsynced(now: Int64) -> SyncTicket? {
        guard failure == nil, !isSyncing, syncedEntry < lastEntry else { return nil }
        switch durability {
        case .batch: break
        case .interval: guard now - lastSyncTaken >= Durability.intervalMilliseconds else { return nil }
        case .never: return nil
        }
        isSyncing = true
        lastSyncTaken = now
        return ticket()
    }

    /// When the next `takeUnsynced` could have something that it held back; nil when only appends can change that.
    var nextSync: Int64? {
        guard durability == .interval, failure == nil, !isSyncing, syncedEntry < lastEntry else { return nil }
        return lastSyncTaken + Durability.intervalMilliseconds
    }

    /// The ticket's file is on the disk.
    func synced(_ ticket: SyncTicket) {
        isSyncing = false
        // A rewrite in the meantime has synced more than this.
        guard failure == nil, case .journal(generation, let position, let entry) = ticket.mark else { return }
        settle(entry: entry, position: position)
    }

    /// A sync failed: what was appended last may be lost, and no later sync could tell.
    func syncFailed(_ ticket: SyncTicket, _ error: SystemError) {
        isSyncing = false
        fail(error)
    }

    /// Syncs what is left; nothing may be appended afterwards.
    func close() {
        guard failure == nil, syncedEntry < lastEntry else { return }
        do {
            try file.sync()
            settle(entry: lastEntry, position: size)
        } catch {
            fail(error)
        }
    }

    /// An error and no trap: what clients say goes into entries.
    private func checkSizes(_ entries: [[UInt8]]) throws(SystemError) {
        guard entries.allSatisfy({ $0.count <= Self.largestEntry }) else {
            throw SystemError(code: EMSGSIZE, call: "journal entry", subject: name)
        }
    }

    private func ticket() -> SyncTicket {
        let mark = SyncTicket.Mark.journal(generation: generation, position: size, entry: lastEntry)
        return SyncTicket(files: [file], directories: [], mark: mark)
    }

    private func settle(entry: UInt64, position: Int64) {
        syncedEntry = max(syncedEntry, entry)
        do {
            try markHandle.write(SyncedMark(file: generation, position: position).encoded(), at: 0)
        } catch {
            // An older mark is a true one too.
            log.warning("cannot note what is synced", [("journal", name), ("error", error)])
        }
    }

    private func fail(_ error: SystemError) {
        guard failure == nil else { return }
        failure = error
        log.error(
            "the journal takes nothing any more: check the disk and start again",
            [("directory", directory), ("journal", name), ("error", error)])
    }
}

extension Journal {
    static func head(_ generation: Int64) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(magic)
        writer.put(version)
        writer.put(generation)
        return writer.sealed()
    }

    /// Entries as they stand in the file.
    static func encoded(_ entries: [[UInt8]]) -> [UInt8] {
        var writer = ByteWriter(capacity: entries.reduce(0) { $0 + $1.count + entryHeadBytes })
        for entry in entries {
            writer.put(UInt32(entry.count))
            writer.put(checksum(of: entry[...]))
            writer.put(entry)
        }
        return writer.bytes
    }

    /// Over the length too, so that a stretch of zeros is no entry.
    static func checksum(of content: ArraySlice<UInt8>) -> UInt32 {
        let length = unsafe withUnsafeBytes(of: UInt32(content.count).bigEndian) { unsafe $0.checksum() }
        return unsafe content.withUnsafeBytes { unsafe $0.checksum(continuing: length) }
    }

    private static func append(_ bytes: [UInt8], to file: any OpenFile, at end: Int64) throws(AppendFailure) {
        let outcome: Result<Void, AppendFailure> = unsafe bytes.withUnsafeBytes { buffer in
            do throws(AppendFailure) {
                return .success(try unsafe file.append(buffer, at: end))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }
}
