import Platform
import Synchronization
import TestSupport
import Testing

@testable import LocalBroker

/// Log lines, for tests that look at what was said.
///
/// They keep the folder: an open log has them, and so its files stay as long as it may use them.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])
    private let folder: TemporaryFolder

    init(_ folder: TemporaryFolder) { self.folder = folder }

    var log: Log { Log(level: .debug, format: .text) { [self] line in lines.withLock { $0.append(line) } } }
    var all: [String] { lines.withLock { $0 } }

    func contains(_ text: String) -> Bool { all.contains { $0.contains(text) } }
}

/// A partition's log in a folder of its own, and short ways to use it.
struct LogBed {
    let folder: TemporaryFolder
    let files: any FileLayer
    let lines: LogLines
    var settings = LogSettings()
    var durability = Durability.batch
    var now: Int64 = 1_000_000

    let directory: String

    init(
        _ folder: TemporaryFolder = TemporaryFolder(), files: any FileLayer = SystemFiles(), at directory: String? = nil
    ) {
        self.folder = folder
        self.directory = directory ?? folder.path + "/topic-0"
        self.files = files
        lines = LogLines(folder)
        settings.retentionMilliseconds = nil
    }

    func open() throws(SystemError) -> PartitionLog {
        try PartitionLog.open(
            directory: directory, files: files, settings: settings, durability: durability, log: lines.log, now: now)
    }

    func path(_ name: String) -> String { directory + "/" + name }
    func segment(_ base: Int64) -> String { path(SegmentName.log(base)) }

    func bytes(_ path: String) throws -> [UInt8] { try SmallFile.read(path, limit: .max, SystemFiles()) ?? [] }

    func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        try SystemFile(path, .replaced).write(bytes, at: 0)
    }
}

extension PartitionLog {
    /// Appends a copy of `bytes`.
    @discardableResult
    func append(_ bytes: [UInt8], now: Int64 = 1_000_000) throws(AppendFault) -> Appended {
        var copy = bytes
        let outcome: Result<Appended, AppendFault> = unsafe copy.withUnsafeMutableBytes { buffer in
            do throws(AppendFault) {
                return .success(try unsafe append(buffer, now: now))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// Syncs all that a syncer would, here.
    func syncNow(now: Int64 = 1_000_000) throws {
        while let ticket = takeUnsynced(now: now) {
            for file in ticket.files { try file.sync() }
            for directory in ticket.directories { try files.syncDirectory(directory) }
            synced(ticket)
        }
    }

    /// All visible batches from `offset` on, each as its bytes, checked for being whole and in order.
    func batches(from offset: Int64? = nil, maxBytes: Int = 1 << 20) throws -> [(
        header: RecordBatchHeader, bytes: [UInt8]
    )] {
        var next = offset ?? logStart
        var batches: [(header: RecordBatchHeader, bytes: [UInt8])] = []
        while let slice = try read(from: next, maxBytes: maxBytes, atLeastOne: true) {
            var bytes = try slice.file.read(count: slice.count, at: Int64(slice.position))[...]
            try #require(bytes.count == slice.count)
            while !bytes.isEmpty {
                let header = try unsafe bytes.withUnsafeBytes {
                    unsafe try RecordBatchHeader.validated($0, limit: .max)
                }
                try #require(header.lastOffset >= next)
                batches.append((header, Array(bytes.prefix(header.totalBytes))))
                bytes = bytes.dropFirst(header.totalBytes)
                next = header.lastOffset + 1
            }
        }
        return batches
    }
}
