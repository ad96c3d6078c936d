import Glibc
import Platform
import Synchronization
import TestSupport

@testable import LocalBroker

/// Real files under one folder, on a disk that forgets what was not synced when its power is cut.
///
/// Reads, and sendfile, see everything, as with a page cache. `powerCut` makes another folder, as the disk might hold it
/// afterwards: contents as of the last sync of each file, names as of the last sync of each folder; with dice also what
/// the kernel may have written on its own: any of the unsynced pages, any size in between, and a folder's newest names.
final class ForgetfulFiles: FileLayer {
    static let page: Int64 = 4096

    private enum Entry {
        case file(Int)
        case folder
    }

    private struct Content {
        let file: SystemFile
        var durable: [UInt8] = []
        var dirtyPages: Set<Int64> = []
    }

    private struct State {
        var contents: [Content] = []
        var names: [String: [String: Entry]] = [:]
        var durableNames: [String: [String: Entry]] = [:]
    }

    let root: String
    private let real = SystemFiles()
    private let state = Mutex(State())

    /// What is under `root` already is on the disk.
    init(root: String) throws {
        self.root = root
        var found = State()
        try Self.scan(root, real, &found)
        found.durableNames = found.names
        state.withLock { [found] in $0 = found }
    }

    private static func scan(_ folder: String, _ real: SystemFiles, _ state: inout State) throws {
        state.names[folder] = [:]
        for name in try real.list(folder) {
            let path = folder + "/" + name
            if isFolder(path) {
                state.names[folder]?[name] = .folder
                try scan(path, real, &state)
            } else {
                let file = try SystemFile(path, .existing)
                let bytes = try file.read(count: Int(try file.size()), at: 0)
                state.names[folder]?[name] = .file(state.contents.count)
                state.contents.append(Content(file: file, durable: bytes))
            }
        }
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    // MARK: The layer

    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any OpenFile {
        let base = try SystemFile(path, mode)
        let (folder, name) = Self.split(path)
        let id = state.withLock { state in
            if case .file(let id) = state.names[folder]?[name] {
                if mode == .replaced { Self.noteTruncated(&state.contents[id], to: 0) }
                return id
            }
            state.contents.append(Content(file: base))
            state.names[folder, default: [:]][name] = .file(state.contents.count - 1)
            return state.contents.count - 1
        }
        return ForgetfulFile(base: base, id: id, layer: self)
    }

    func list(_ directory: String) throws(SystemError) -> [String] { try real.list(directory) }

    @discardableResult
    func makeDirectory(_ path: String) throws(SystemError) -> Bool {
        guard try real.makeDirectory(path) else { return false }
        let (folder, name) = Self.split(path)
        state.withLock { state in
            state.names[path] = [:]
            state.names[folder, default: [:]][name] = .folder
        }
        return true
    }

    func syncDirectory(_ path: String) throws(SystemError) {
        state.withLock { $0.durableNames[path] = $0.names[path] }
    }

    func rename(_ path: String, to target: String) throws(SystemError) {
        try real.rename(path, to: target)
        let (folder, name) = Self.split(path)
        let (targetFolder, targetName) = Self.split(target)
        state.withLock { state in
            state.names[targetFolder, default: [:]][targetName] = state.names[folder]?.removeValue(forKey: name)
        }
    }

    func remove(_ path: String) throws(SystemError) {
        try real.remove(path)
        let (folder, name) = Self.split(path)
        state.withLock { _ = $0.names[folder]?.removeValue(forKey: name) }
    }

    func removeDirectory(_ path: String) throws(SystemError) {
        try real.removeDirectory(path)
        let (folder, name) = Self.split(path)
        state.withLock { state in
            state.names[path] = nil
            state.names[folder]?[name] = nil
        }
    }

    // MARK: What files tell

    fileprivate func written(_ id: Int, _ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        state.withLock {
            $0.contents[id].dirtyPages.formUnion(range.lowerBound / Self.page...(range.upperBound - 1) / Self.page)
        }
    }

    fileprivate func truncated(_ id: Int, to size: Int64) {
        state.withLock { Self.noteTruncated(&$0.contents[id], to: size) }
    }

    private static func noteTruncated(_ content: inout Content, to size: Int64) {
        let end = max(Int64(content.durable.count), size)
        guard size < end else { return }
        content.dirtyPages.formUnion(size / page...(end - 1) / page)
    }

    fileprivate func synced(_ id: Int) throws {
        try state.withLock { state in
            let size = Int(try state.contents[id].file.size())
            var durable = state.contents[id].durable
            durable += [UInt8](repeating: 0, count: max(0, size - durable.count))
            for page in state.contents[id].dirtyPages where Int(page * Self.page) < size {
                let bytes = try state.contents[id].file.read(count: Int(Self.page), at: page * Self.page)
                durable.replaceSubrange(Int(page * Self.page)..<Int(page * Self.page) + bytes.count, with: bytes)
            }
            durable.removeLast(durable.count - size)
            state.contents[id].durable = durable
            state.contents[id].dirtyPages = []
        }
    }

    // MARK: The power cut

    /// Makes `target`, which must not exist, as the disk holds `root` now. Without dice exactly what was synced.
    func powerCut(into target: String, dice: inout TestDice?) throws {
        let snapshot = state.withLock { $0 }
        try restore(root, to: target, snapshot, &dice)
    }

    private func restore(_ folder: String, to target: String, _ state: State, _ dice: inout TestDice?) throws {
        try real.makeDirectory(target)
        let isNew = dice?.chance(30) ?? false
        let names = (isNew ? state.names[folder] : nil) ?? state.durableNames[folder] ?? [:]
        for (name, entry) in names.sorted(by: { $0.key < $1.key }) {
            switch entry {
            case .folder: try restore(folder + "/" + name, to: target + "/" + name, state, &dice)
            case .file(let id):
                let file = try SystemFile(target + "/" + name, .new)
                try file.write(try surviving(state.contents[id], &dice), at: 0)
            }
        }
    }

    private func surviving(_ content: Content, _ dice: inout TestDice?) throws -> [UInt8] {
        guard var thrown = dice, !content.dirtyPages.isEmpty, thrown.chance(80) else { return content.durable }
        defer { dice = thrown }
        let live = try content.file.read(count: Int(try content.file.size()), at: 0)
        let sizes = [content.durable.count, live.count].sorted()
        let size = thrown.chance(50) ? live.count : Int.random(in: sizes[0]...sizes[1], using: &thrown)
        let percent = [0, 50, 90, 100][Int.random(in: 0..<4, using: &thrown)]
        var bytes = Array(content.durable.prefix(size))
        bytes += [UInt8](repeating: 0, count: size - bytes.count)
        for page in content.dirtyPages.sorted() where thrown.chance(percent) {
            let from = Int(page * Self.page)
            let to = min(from + Int(Self.page), size, live.count)
            if from < to { bytes.replaceSubrange(from..<to, with: live[from..<to]) }
        }
        return bytes
    }
}

/// A file that tells its layer what it would lose.
private final class ForgetfulFile: OpenFile {
    private let base: SystemFile
    private let id: Int
    private let layer: ForgetfulFiles

    init(base: SystemFile, id: Int, layer: ForgetfulFiles) {
        self.base = base
        self.id = id
        self.layer = layer
    }

    var path: String { base.path }
    var descriptor: Int32 { base.descriptor }

    func size() throws(SystemError) -> Int64 { try base.size() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws(SystemError) -> Int {
        unsafe try base.read(into: buffer, at: position)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(SystemError) {
        // Noted first: a sync in another thread must not take the write for done before it is.
        unsafe try base.write(bytes, at: position)
        layer.written(id, position..<position + Int64(bytes.count))
    }

    func sync() throws(SystemError) {
        do {
            try layer.synced(id)
        } catch {
            throw error as? SystemError ?? SystemError(code: EIO, call: "sync", subject: path)
        }
    }

    func truncate(to size: Int64) throws(SystemError) {
        try base.truncate(to: size)
        layer.truncated(id, to: size)
    }

    func reserve(from position: Int64, count: Int64) {}
}
