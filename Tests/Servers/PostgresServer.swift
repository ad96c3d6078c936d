import Glibc
import Synchronization
import TestSupport

/// A Postgres of a test's own: a private cluster on a unix socket in a temporary folder, ended with the object.
///
/// Its server does not run as root, so root starts it as the user that Debian's package makes.
package final class PostgresServer: Sendable {
    /// One for all tests of a process that only need a database of their own. Nothing lets go of it, so it ends with the
    /// process.
    package static let shared = Result {
        let server = try PostgresServer()
        toEnd.withLock { $0 = server }
        atexit { PostgresServer.toEnd.withLock { $0?.end() } }
        return server
    }

    private static let toEnd = Mutex<PostgresServer?>(nil)

    private let folder: TemporaryFolder
    private let process = Mutex<pid_t>(0)
    private let databases = Mutex(0)

    private static let user = "postgres"
    private var data: String { folder.path + "/data" }

    package init() throws {
        folder = TemporaryFolder()
        // Its user has to reach the data through the folder.
        unsafe chmod(folder.path, 0o755)
        unsafe mkdir(data, 0o700)
        if getuid() == 0 {
            guard let account = unsafe getpwnam(Self.user) else { throw Child.Fault(what: "no user \(Self.user)") }
            unsafe _ = chown(data, account.pointee.pw_uid, account.pointee.pw_gid)
        }
        try Self.run("initdb", ["-D", data, "-A", "trust", "-U", Self.user, "-E", "UTF8", "--locale=C", "-N"])
        try start()
    }

    deinit { end() }

    private func end() {
        goOn()
        signal(SIGQUIT)
        reap()
        folder.remove()
    }

    /// A new database, and what to put into `DATABASE_URL` for it.
    package func database() throws -> String {
        let name = databases.withLock { number in
            number += 1
            return "test\(number)"
        }
        try Self.run("createdb", ["-h", data, "-U", Self.user, name])
        return "postgresql:///\(name)?host=\(data)&user=\(Self.user)"
    }

    /// What `host` says of it.
    package var folderOfSocket: String { data }

    /// Starts it again, on the same folder. What is left of a server that was killed may still be ending.
    package func start() throws {
        let arguments = [
            "-D", data, "-k", data, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200",
        ]
        for _ in 0..<100 {
            let pid = try Child.start(Self.words("postgres", arguments)[0], Self.words("postgres", arguments))
            process.withLock { $0 = pid }
            do {
                try Child.wait(for: data + "/.s.PGSQL.5432", of: pid)
                // It listens before it has put itself in order.
                for _ in 0..<1000 {
                    if try Child.run(Self.words("pg_isready", ["-q", "-h", data])) == 0 { return }
                    usleep(10_000)
                }
            } catch {
                signal(SIGKILL)
                reap()
                usleep(50_000)
            }
        }
        throw Child.Fault(what: "postgres does not start")
    }

    /// Ends it with all its backends at once, as a power cut would.
    package func kill() {
        let children = Child.children(of: process.withLock { $0 })
        signal(SIGKILL)
        for child in children { _ = Glibc.kill(child, SIGKILL) }
        reap()
    }

    /// Has the main process and every backend end their connections, and take new ones when it is started again.
    package func stop() {
        signal(SIGINT)
        reap()
    }

    /// Has all its processes stand still: what is connected stays so, and nobody answers.
    package func freeze() {
        // The main process first, or it could start others meanwhile.
        signal(SIGSTOP)
        for child in Child.children(of: process.withLock { $0 }) { _ = Glibc.kill(child, SIGSTOP) }
    }

    package func goOn() {
        for child in Child.children(of: process.withLock { $0 }) { _ = Glibc.kill(child, SIGCONT) }
        signal(SIGCONT)
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

    private static func run(_ program: String, _ arguments: [String]) throws {
        guard try Child.run(words(program, arguments)) == 0 else { throw Child.Fault(what: "\(program) failed") }
    }

    /// The command line of one of its programs, with another user for root.
    private static func words(_ program: String, _ arguments: [String]) -> [String] {
        let path = "/usr/lib/postgresql/15/bin/\(program)"
        let other = getuid() == 0 ? ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"] : []
        return other + [path] + arguments
    }
}
