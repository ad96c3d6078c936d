internal import Platform

// Every operation on files that the broker makes, as a protocol.
//
// The log's promises are about what a disk holds after a crash, and they can only be proven with a disk that forgets,
// fills up and fails on demand. So the log talks to this layer alone; tests put theirs underneath. It costs one dynamic
// call a request, never one a record. Rejected: a generic parameter on everything above, which would spell the same
// thing in every signature and gain nothing that can be measured.

/// How a file is opened; always for reading and writing.
enum OpenMode: Sendable {
    /// It must exist.
    case existing
    /// It must not.
    case new
    /// Made when missing, kept when not.
    case existingOrNew
    /// Empty afterwards, whether it existed or not.
    case replaced
}

/// An open file. It is closed when the last reference goes, so whoever still sends from it or syncs it may finish.
protocol OpenFile: AnyObject, Sendable {
    var path: String { get }
    /// For what takes a descriptor: sendfile(2), flock(2). It is valid as long as the object is held.
    var descriptor: Int32 { get }

    func size() throws(SystemError) -> Int64
    /// Fills `buffer` from `position`; fewer bytes mean that the file ends there.
    func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws(SystemError) -> Int
    /// Writes all of `bytes`, or throws after having written some prefix of them.
    func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(SystemError)
    /// Returns when the content, and as much of the size as reading it needs, is on the disk.
    func sync() throws(SystemError)
    func truncate(to size: Int64) throws(SystemError)
    /// Asks for blocks behind the end without moving it. Best effort: only time is lost when it fails.
    func reserve(from position: Int64, count: Int64)
}

/// What the broker asks of a file system.
protocol FileLayer: Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any OpenFile
    /// Names in a folder, without `.` and `..`, in no order.
    func list(_ directory: String) throws(SystemError) -> [String]
    /// Makes the folder unless it exists; its parent must. Returns whether it is new.
    @discardableResult
    func makeDirectory(_ path: String) throws(SystemError) -> Bool
    /// Makes the folder's names, new and removed ones, survive a power cut.
    func syncDirectory(_ path: String) throws(SystemError)
    func rename(_ path: String, to target: String) throws(SystemError)
    func remove(_ path: String) throws(SystemError)
    /// Removes an empty folder.
    func removeDirectory(_ path: String) throws(SystemError)
}

/// Why bytes were not appended, and what the file holds now.
enum AppendFailure: Error {
    /// The file ends where it ended before.
    case refused(SystemError)
    /// Part of the bytes is in the file and could not be cut off again.
    case torn(SystemError)
}

extension OpenFile {
    /// Writes `bytes` behind `end`, all of them or none: what a full disk let through is cut off again.
    func append(_ bytes: UnsafeRawBufferPointer, at end: Int64) throws(AppendFailure) {
        do {
            try unsafe write(bytes, at: end)
        } catch let failure {
            do {
                try truncate(to: end)
            } catch {
                throw .torn(failure)
            }
            throw .refused(failure)
        }
    }

    /// Writes an array; for small files.
    func write(_ bytes: [UInt8], at position: Int64) throws(SystemError) {
        let outcome: Result<Void, SystemError> = unsafe bytes.withUnsafeBytes { buffer in
            do throws(SystemError) {
                return .success(try unsafe write(buffer, at: position))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }

    /// `count` bytes from `position`, fewer at the end of the file; for small files.
    func read(count: Int, at position: Int64) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(SystemError) {
                filled = try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: position)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
