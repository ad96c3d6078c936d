/// Files and folders to be synced, and what will be known when they are. Made by a log or a journal, carried out by any
/// thread, and given back to its maker.
struct SyncTicket: Sendable {
    /// In the order in which they were written.
    let files: [any OpenFile]
    /// After the files.
    let directories: [String]
    let mark: Mark

    /// What its maker may rely on afterwards.
    enum Mark: Sendable {
        case log(PartitionLog.Place)
        case journal(generation: Int64, position: Int64, entry: UInt64)
    }
}

extension Durability {
    /// How long an append may stay unsynced in `interval`.
    static let intervalMilliseconds: Int64 = 1000
}
