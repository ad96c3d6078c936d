internal import Synchronization

/// The memories of the partitions of this process.
///
/// Why a memory can be believed: every transaction that counts something leaves a random mark of its own in the
/// partition's row, under the row's lock, and the memory keeps the mark of the transaction that made it what it is. Who
/// has the lock and finds the same mark there knows that nothing has happened since; any other mark, and the memory is
/// thrown away and made anew from tables and journal. So it does not matter why it should be wrong: because a commit
/// failed or nobody knows whether it did, because the partition was elsewhere and came back, because the database was set
/// back to a backup, or because this process was stopped for an hour and thinks that it still owns the partition.
///
/// A mark is a random number and no counter, because after a rollback two transactions would make the same next one.
final class MemoryTable: Sendable {
    private let memories = Mutex<[Int32: PartitionMemory]>([:])

    /// Takes a partition's memory, if it has that mark. It is back only with `put`: a transaction that ends otherwise
    /// leaves none behind.
    func take(_ partition: Int32, stamp: Int64) -> PartitionMemory? {
        let memory = memories.withLock { $0.removeValue(forKey: partition) }
        return memory?.stamp == stamp ? memory : nil
    }

    func put(_ memory: PartitionMemory, _ partition: Int32) {
        memories.withLock { $0[partition] = memory }
    }

    /// The partition is somebody else's now.
    func forget(_ partition: Int32) {
        memories.withLock { $0[partition] = nil }
    }

    /// All windows that have ended are told, of a partition whose memory is here.
    func told(_ partition: Int32, _ now: Int64) { memories.withLock { $0[partition]?.toldAt = now } }

    /// How many bytes all of them take, roughly.
    var bytes: Int { memories.withLock { $0.values.reduce(0) { $0 + $1.bytes } } }

    static func newStamp() -> Int64 { Int64.random(in: 1 ... .max) }
}
