import Glibc
import Platform
import Synchronization

@testable import LocalBroker

/// A layer whose n-th call fails, and, if asked to, all that write after it, as on a disk that stays full.
///
/// A failing write has written half of its bytes.
final class FailingFiles: FileLayer {
    private struct State {
        var calls = 0
        var failsAt: Int?
        var staysBroken = false
        var code = ENOSPC
    }

    private let base: any FileLayer
    private let state = Mutex(State())

    init(_ base: any FileLayer) { self.base = base }

    /// Lets the `number`-th call from now on fail, counted from 1.
    func fail(atCall number: Int, stayBroken: Bool = false, code: Int32 = ENOSPC) {
        state.withLock { $0 = State(failsAt: number, staysBroken: stayBroken, code: code) }
    }

    /// No more failures. Returns whether there was one.
    @discardableResult
    func heal() -> Bool {
        state.withLock { state in
            defer { state = State() }
            return state.failsAt.map { state.calls >= $0 } ?? false
        }
    }

    /// The failure that the call just made has to report.
    fileprivate func failure(_ call: String, writes: Bool) -> SystemError? {
        state.withLock { state in
            guard let failsAt = state.failsAt else { return nil }
            state.calls += 1
            let fails = state.calls == failsAt || (state.staysBroken && writes && state.calls > failsAt)
            return fails ? SystemError(code: state.code, call: call, subject: "injected") : nil
        }
    }

    private func check(_ call: String, writes: Bool) throws(SystemError) {
        if let failure = failure(call, writes: writes) { throw failure }
    }

    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any OpenFile {
        try check("open", writes: mode == .new || mode == .replaced)
        return FailingFile(base: try base.open(path, mode), layer: self)
    }

    func list(_ directory: String) throws(SystemError) -> [String] {
        try check("list", writes: false)
        return try base.list(directory)
    }

    @discardableResult
    func makeDirectory(_ path: String) throws(SystemError) -> Bool {
        try check("mkdir", writes: true)
        return try base.makeDirectory(path)
    }

    func syncDirectory(_ path: String) throws(SystemError) {
        try check("fsync", writes: false)
        try base.syncDirectory(path)
    }

    func rename(_ path: String, to target: String) throws(SystemError) {
        try check("rename", writes: true)
        try base.rename(path, to: target)
    }

    func remove(_ path: String) throws(SystemError) {
        try check("unlink", writes: false)
        try base.remove(path)
    }

    func removeDirectory(_ path: String) throws(SystemError) {
        try check("rmdir", writes: false)
        try base.removeDirectory(path)
    }
}

private final class FailingFile: OpenFile {
    private let base: any OpenFile
    private let layer: FailingFiles

    init(base: any OpenFile, layer: FailingFiles) {
        self.base = base
        self.layer = layer
    }

    var path: String { base.path }
    var descriptor: Int32 { base.descriptor }

    private func check(_ call: String) throws(SystemError) {
        if let failure = layer.failure(call, writes: false) { throw failure }
    }

    func size() throws(SystemError) -> Int64 {
        try check("fstat")
        return try base.size()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws(SystemError) -> Int {
        try check("pread")
        return unsafe try base.read(into: buffer, at: position)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(SystemError) {
        if let failure = layer.failure("pwrite", writes: true) {
            unsafe try base.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2)), at: position)
            throw failure
        }
        unsafe try base.write(bytes, at: position)
    }

    func sync() throws(SystemError) {
        try check("fdatasync")
        try base.sync()
    }

    func truncate(to size: Int64) throws(SystemError) {
        try check("ftruncate")
        try base.truncate(to: size)
    }

    func reserve(from position: Int64, count: Int64) { base.reserve(from: position, count: count) }
}
