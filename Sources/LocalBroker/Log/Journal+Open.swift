internal import Glibc
internal import Platform

extension Journal {
    /// Opens the journal `name` in a folder, making it when it is missing, and shows each of its entries to `replay`.
    ///
    /// A write that a crash cut short is cut off. What is shown is on the disk.
    static func open(
        directory: String, name: String, files: any FileLayer, durability: Durability, log: Log,
        replay: (_ entry: ArraySlice<UInt8>) -> Void
    ) throws(JournalFault) -> Journal {
        do {
            let path = directory + "/" + name
            let names = try files.list(directory)
            if names.contains(name + SmallFile.temporary) { try files.remove(path + SmallFile.temporary) }
            let mark = try SyncedMark(markPath(path), files)
            if !names.contains(name) {
                guard mark == nil else {
                    throw JournalFault.damaged(
                        "\(path) is missing: restore it from a copy, or, to begin without it, rm \(markPath(path))")
                }
                try SmallFile.replace(name, in: directory, with: head(0), files)
            }
            return try load(directory, name, files, durability, log, mark, replay)
        } catch let fault as JournalFault {
            throw fault
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            preconditionFailure("an error of another kind: \(error)")
        }
    }

    private static func load(
        _ directory: String, _ name: String, _ files: any FileLayer, _ durability: Durability, _ log: Log,
        _ mark: SyncedMark?, _ replay: (ArraySlice<UInt8>) -> Void
    ) throws -> Journal {
        let path = directory + "/" + name
        let file = try files.open(path, .existing)
        let bytes = try file.read(count: Int(try file.size()), at: 0)
        // The head was synced before the file had its name.
        guard bytes.count >= Int(headBytes), var head = ByteReader(sealed: Array(bytes[..<Int(headBytes)])),
            head.take() == magic, let found = head.take(UInt32.self), let generation = head.take(Int64.self)
        else {
            throw JournalFault.damaged("\(path) does not begin as a journal does: restore it from a copy")
        }
        guard found == version else {
            throw JournalFault.damaged("\(path) has format \(found); this version knows \(version)")
        }
        let end = Int64(intactPrefix(of: bytes, replay))
        let synced = mark.flatMap { $0.file == generation ? $0.position : nil } ?? headBytes
        guard end >= synced else {
            throw JournalFault.damaged(
                "\(path) is damaged at byte \(end), below what was synced: restore it from a copy, or cut it there, "
                    + "losing what follows: truncate -s \(end) \(path) && rm \(markPath(path))")
        }
        if end < Int64(bytes.count) {
            log.warning(
                "cut off a write that a crash had interrupted",
                [("file", path), ("bytes", Int64(bytes.count) - end), ("position", end)])
            try file.truncate(to: end)
        }
        if end != synced || end < Int64(bytes.count) { try file.sync() }
        let markFile = try files.open(markPath(path), .existingOrNew)
        try markFile.write(SyncedMark(file: generation, position: end).encoded(), at: 0)
        try files.syncDirectory(directory)
        return Journal(
            directory: directory, name: name, files: files, durability: durability, log: log, file: file,
            markHandle: markFile, generation: generation, size: end)
    }

    /// Replays entries up to the first that is not one, and returns where that is.
    private static func intactPrefix(of bytes: [UInt8], _ replay: (ArraySlice<UInt8>) -> Void) -> Int {
        var reader = ByteReader(bytes[Int(headBytes)...])
        var end = Int(headBytes)
        while let length = reader.take(UInt32.self), let checksum = reader.take(UInt32.self), length <= largestEntry,
            let content = reader.take(count: Int(length)), self.checksum(of: content) == checksum
        {
            replay(content)
            end += entryHeadBytes + Int(length)
        }
        return end
    }

    private static func markPath(_ path: String) -> String { path + ".synced" }
}
