import Glibc
import Platform
import Synchronization
import TestServers
import Testing

/// `flotilla broker` as a process of its own, on a port that it keeps over restarts.
final class BrokerProcess: Sendable {
    /// A broker that did not do what was waited for.
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    private struct Running {
        let pid: pid_t
        let errors: Int32
    }

    let folder: String
    let port: UInt16
    private let options: [String]
    private let running = Mutex<Running?>(nil)

    init(folder: String, port: UInt16? = nil, options: [String] = []) throws {
        self.folder = folder
        self.port = try port ?? Ports.free()
        self.options = options
    }

    deinit { kill() }

    /// FLOTILLA_BIN, or what `make` links.
    static var binary: String {
        if let named = unsafe getenv("FLOTILLA_BIN") { return unsafe String(cString: named) }
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(root)/bin/flotilla"
    }

    /// Starts it and waits until it serves.
    func start() throws {
        let (pid, errors) = try Self.spawn(
            [Self.binary, "broker", "--data", folder, "--listen", "127.0.0.1:\(port)"] + options)
        running.withLock { $0 = Running(pid: pid, errors: errors) }
        var said = ""
        while !said.contains("broker is ready") {
            guard let more = Self.read(errors) else {
                kill()
                throw Fault(description: "\(Self.binary) ended before it was ready: \(said)")
            }
            said += more
        }
    }

    /// Starts it and waits for its end; what it said, and its exit code.
    func runToItsEnd() throws -> (said: String, exitCode: Int32) {
        let (pid, errors) = try Self.spawn(
            [Self.binary, "broker", "--data", folder, "--listen", "127.0.0.1:\(port)"] + options)
        var said = ""
        while let more = Self.read(errors) { said += more }
        close(errors)
        return (said, Child.wait(pid))
    }

    /// kill -9, and waits until it is gone.
    func kill() { end(SIGKILL) }

    /// SIGTERM, and waits until it has ended; its exit code.
    @discardableResult
    func stop() -> Int32 { end(SIGTERM) }

    @discardableResult
    private func end(_ signal: Int32) -> Int32 {
        let ended = running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let ended else { return -1 }
        Glibc.kill(ended.pid, signal)
        let code = Child.wait(ended.pid)
        close(ended.errors)
        return code
    }

    private static func spawn(_ arguments: [String]) throws -> (pid_t, Int32) {
        var ends: [Int32] = [0, 0]
        // Neither end is for children: the one that is theirs is duplicated.
        guard unsafe pipe(&ends) == 0 else { throw Fault(description: "pipe: \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        var pid: pid_t = 0
        var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe words.forEach { unsafe free($0) } }
        let code = unsafe posix_spawn(&pid, arguments[0], &actions, nil, &words, environ)
        close(ends[1])
        guard code == 0 else {
            close(ends[0])
            throw Fault(description: "cannot start \(arguments[0]), which `make` builds: errno \(code)")
        }
        return (pid, ends[0])
    }

    /// The next that is said; nil at the end.
    private static func read(_ descriptor: Int32) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
