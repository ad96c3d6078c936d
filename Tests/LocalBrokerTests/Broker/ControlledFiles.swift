import Glibc
import Platform
import Synchronization

@testable import LocalBroker

/// A layer in which a test decides, call by call, what fails, and at which call the power goes.
///
/// Calls happen one at a time, so that a power cut falls between two of them and the disk holds one state while the test
/// looks at it. A sync returns only some time after it was done: whatever is written in between is not covered by it, and
/// a broker that thinks otherwise is caught.
final class ControlledFiles: FileLayer {
    /// One call: `write`, `sync`, `open` …, and on which path.
    struct Call {
        let name: String
        let path: String
    }

    private struct State {
        var calls = 0
        var cutAt: Int?
        var onCut: @Sendable () -> Void = {}
        var isCut = false
        var failure: @Sendable (Call) -> Int32? = { _ in nil }
    }

    private let base: any FileLayer
    private let state = Mutex(State())

    init(_ base: any FileLayer) { self.base = base }

    /// Lets every call fail for which `rule` names an errno.
    func fail(_ rule: @escaping @Sendable (Call) -> Int32?) { state.withLock { $0.failure = rule } }

    func heal() { fail { _ in nil } }

    /// Cuts the power before the `number`-th call from now; `onCut` sees the files as they are then. Every later call
    /// fails, as nothing that a machine does without power counts.
    func cutPower(atCall number: Int, _ onCut: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.calls = 0
            state.cutAt = number
            state.onCut = onCut
        }
    }

    var isCut: Bool { state.withLock { $0.isCut } }

    fileprivate func perform<Value>(
        _ name: String, _ path: String, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        let result: Result<Value, SystemError> = state.withLock { state in
            state.calls += 1
            if state.calls == state.cutAt {
                state.isCut = true
                state.onCut()
            }
            if state.isCut { return .failure(SystemError(code: EIO, call: name, subject: "power is cut")) }
            if let code = state.failure(Call(name: name, path: path)) {
                return .failure(SystemError(code: code, call: name, subject: "injected"))
            }
            do throws(SystemError) {
                return .success(try body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any OpenFile {
        try perform("open", path) { () throws(SystemError) in
            ControlledFile(base: try base.open(path, mode), layer: self)
        }
    }

    func list(_ directory: String) throws(SystemError) -> [String] {
        try perform("list", directory) { () throws(SystemError) in try base.list(directory) }
    }

    func makeDirectory(_ path: String) throws(SystemError) -> Bool {
        try perform("mkdir", path) { () throws(SystemError) in try base.makeDirectory(path) }
    }

    func syncDirectory(_ path: String) throws(SystemError) {
        try perform("sync", path) { () throws(SystemError) in try base.syncDirectory(path) }
        sched_yield()
    }

    func rename(_ path: String, to target: String) throws(SystemError) {
        try perform("rename", path) { () throws(SystemError) in try base.rename(path, to: target) }
    }

    func remove(_ path: String) throws(SystemError) {
        try perform("remove", path) { () throws(SystemError) in try base.remove(path) }
    }

    func removeDirectory(_ path: String) throws(SystemError) {
        try perform("rmdir", path) { () throws(SystemError) in try base.removeDirectory(path) }
    }
}

private final class ControlledFile: OpenFile {
    private let base: any OpenFile
    private let layer: ControlledFiles

    init(base: any OpenFile, layer: ControlledFiles) {
        self.base = base
        self.layer = layer
    }

    var path: String { base.path }
    var descriptor: Int32 { base.descriptor }

    func size() throws(SystemError) -> Int64 {
        try layer.perform("size", path) { () throws(SystemError) in try base.size() }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws(SystemError) -> Int {
        try layer.perform("read", path) { () throws(SystemError) in unsafe try base.read(into: buffer, at: position) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(SystemError) {
        try layer.perform("write", path) { () throws(SystemError) in unsafe try base.write(bytes, at: position) }
    }

    func sync() throws(SystemError) {
        try layer.perform("sync", path) { () throws(SystemError) in try base.sync() }
        for _ in 0..<10 { sched_yield() }
    }

    func truncate(to size: Int64) throws(SystemError) {
        try layer.perform("truncate", path) { () throws(SystemError) in try base.truncate(to: size) }
    }

    func reserve(from position: Int64, count: Int64) { base.reserve(from: position, count: count) }
}
