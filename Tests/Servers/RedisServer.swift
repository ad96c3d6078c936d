import Glibc
import Synchronization
import TestSupport

/// A redis-server of a test's own: on a unix socket in a temporary folder, ended with the object.
package final class RedisServer: Sendable {
    private let folder = TemporaryFolder()
    private let process = Mutex<pid_t>(0)
    private let options: [String]

    package var socket: String { folder.path + "/redis.sock" }
    package var url: String { "unix://" + socket }

    /// Starts a server with these options beside its own, and waits until it takes connections.
    package init(_ options: [String] = []) throws {
        self.options = options
        try start()
    }

    deinit { stop() }

    /// Starts it again, on the same folder.
    package func start() throws {
        let arguments =
            [
                "redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder.path, "--save", "",
                "--logfile", folder.path + "/redis.log",
            ] + options
        let pid = try Child.start("redis-server", arguments)
        process.withLock { $0 = pid }
        try Child.wait(for: socket, of: pid)
    }

    /// Ends it at once, as a power cut would.
    package func kill() {
        signal(SIGKILL)
        reap()
    }

    /// Has it do nothing until `goOn`, with its connections open.
    package func freeze() { signal(SIGSTOP) }
    package func goOn() { signal(SIGCONT) }

    private func stop() {
        signal(SIGCONT)
        kill()
    }

    private func signal(_ number: Int32) {
        process.withLock { pid in
            if pid > 0 { _ = Glibc.kill(pid, number) }
        }
    }

    private func reap() {
        process.withLock { pid in
            var status: Int32 = 0
            if pid > 0 { unsafe _ = waitpid(pid, &status, 0) }
            pid = 0
        }
    }
}

/// Processes that tests start, each ended by its own number.
package enum Child {
    package struct Fault: Error {
        package let what: String

        package init(what: String) { self.what = what }
    }

    /// Starts a program of the PATH, its output at the end of a file or thrown away.
    package static func start(
        _ program: String, _ arguments: [String], output: String = "/dev/null"
    ) throws -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for file: Int32 in [0, 1, 2] {
            unsafe posix_spawn_file_actions_addopen(
                &actions, file, file == 0 ? "/dev/null" : output, file == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND,
                0o600)
        }
        // What the test process blocks, the child must hear.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
        unsafe words.append(nil)
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        var pid: pid_t = 0
        let code = unsafe posix_spawnp(&pid, program, &actions, &attributes, words, environ)
        guard code == 0 else { throw Fault(what: "\(program): \(unsafe String(cString: strerror(code)))") }
        return pid
    }

    /// Runs a program to its end; its exit code, or minus the signal.
    package static func run(_ words: [String], output: String = "/dev/null") throws -> Int32 {
        wait(try start(words[0], words, output: output))
    }

    /// Waits for a process' end; its exit code, or minus the signal.
    package static func wait(_ pid: Int32) -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return code(status)
    }

    /// The same for one that has ended, nil for one that runs.
    package static func ended(_ pid: Int32) -> Int32? {
        var status: Int32 = 0
        return unsafe waitpid(pid, &status, WNOHANG) == pid ? code(status) : nil
    }

    private static func code(_ status: Int32) -> Int32 {
        status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f)
    }

    /// The processes that a process has started and that still run.
    package static func children(of pid: Int32) -> [Int32] {
        guard let file = unsafe fopen("/proc/\(pid)/task/\(pid)/children", "r") else { return [] }
        defer { unsafe fclose(file) }
        var text = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe fread(&text, 1, text.count, file)
        return text[..<count].split(separator: UInt8(ascii: " ")).compactMap {
            Int32(String(decoding: $0, as: UTF8.self))
        }
    }

    /// Waits until somebody listens on a socket, ten seconds at most.
    package static func wait(for path: String, of pid: Int32) throws {
        for _ in 0..<1000 {
            if connects(to: path) { return }
            var status: Int32 = 0
            if unsafe waitpid(pid, &status, WNOHANG) == pid { throw Fault(what: "ended before it listened at \(path)") }
            usleep(10_000)
        }
        throw Fault(what: "nobody listens at \(path)")
    }

    private static func connects(to path: String) -> Bool {
        let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(file) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        return unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(file, $0, size) == 0 }
        }
    }
}
