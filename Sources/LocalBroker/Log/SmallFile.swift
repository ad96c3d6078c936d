internal import Glibc
internal import Platform

/// Files of a few bytes that are read and written whole.
enum SmallFile {
    /// Leftovers with this ending are removed at the next start.
    static let temporary = ".tmp"

    /// The content, at most `limit` bytes of it; nil when there is no such file.
    ///
    /// A file that is there and cannot be read is not the same as none: it may forbid what its absence would allow.
    static func read(_ path: String, limit: Int64, _ files: any FileLayer) throws(SystemError) -> [UInt8]? {
        do {
            let file = try files.open(path, .existing)
            return try file.read(count: Int(min(try file.size(), limit)), at: 0)
        } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
    }

    /// Replaces the file at once: after a crash it is the old one or the new one, and after this call the new one.
    ///
    /// Returns the open file.
    @discardableResult
    static func replace(
        _ name: String, in directory: String, with bytes: [UInt8], _ files: any FileLayer
    ) throws(SystemError) -> any OpenFile {
        let target = directory + "/" + name
        let file = try files.open(target + temporary, .replaced)
        try file.write(bytes, at: 0)
        try file.sync()
        try files.rename(target + temporary, to: target)
        try files.syncDirectory(directory)
        return file
    }
}

/// How far a file is known to be on the disk.
///
/// It is written, without a sync of its own, after a sync of the file has succeeded: so whatever a crash leaves of it is
/// never ahead of the truth. A fault below it is damage, and a fault above it is a write that a crash cut short.
struct SyncedMark: Equatable {
    /// Which file: a segment's base offset, a journal's generation.
    var file: Int64
    /// Bytes of it that are on the disk.
    var position: Int64

    static let bytes = 20

    init(file: Int64, position: Int64) {
        self.file = file
        self.position = position
    }

    /// The mark in `path`; nil when there is none, or none that its checksum confirms.
    init?(_ path: String, _ files: any FileLayer) throws(SystemError) {
        guard let bytes = try SmallFile.read(path, limit: Int64(Self.bytes), files),
            var reader = ByteReader(sealed: bytes),
            let file = reader.take(Int64.self), let position = reader.take(Int64.self)
        else { return nil }
        self.init(file: file, position: position)
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.bytes)
        writer.put(file)
        writer.put(position)
        return writer.sealed()
    }
}
