internal import CLinux
internal import Glibc
internal import Platform

/// The folder that holds everything of one stack.
///
///     broker/ redis/ postgres/   what the servers keep (0700)
///     logs/                      what each process said (0700)
///     stack.json                 where everything runs (0600)
///     control.sock               how the running stack is told something (0600)
///     lock                       held while it runs
///     version                    how all this is laid out
///
/// Nobody else gets into what is in it. The folder itself can be passed, but not read, when root starts the stack: then
/// Postgres runs as another user, who has to reach its own.
package struct StackFolder: Sendable {
    package let path: String

    private static let layout = "flotilla stack 1"
    static let known: Set = [
        "broker", "redis", "postgres", "logs", "stack.json", "stack.json.new", "control.sock", "lock", "version",
    ]
    /// A socket's path has at most so many bytes, and Postgres chooses the longest name for one.
    private static let longest = 107 - "/postgres/.s.PGSQL.5432".utf8.count

    package var broker: String { path + "/broker" }
    package var redis: String { path + "/redis" }
    package var postgres: String { path + "/postgres" }
    package var logs: String { path + "/logs" }
    package var file: String { path + "/stack.json" }
    package var control: String { path + "/control.sock" }
    private var lock: String { path + "/lock" }
    private var version: String { path + "/version" }

    /// One that is there; throws when there is none.
    package init(existing path: String) throws(StackFault) {
        guard let found = Files.resolved(path), Files.exists(found + "/version") else {
            throw StackFault(
                "there is no stack in \(path): flotilla up makes one, --data DIR or FLOTILLA_DATA says where")
        }
        self.path = found
        try checkLayout()
    }

    /// Makes what is missing.
    package init(making path: String) throws(StackFault) {
        do throws(SystemError) {
            try Files.createFolder(path)
        } catch {
            throw StackFault("the data folder cannot be made (\(error)): choose another with --data DIR")
        }
        guard let found = Files.resolved(path) else {
            throw StackFault("the data folder \(path) cannot be entered: choose another with --data DIR")
        }
        self.path = found
        guard found.utf8.count <= Self.longest else {
            throw StackFault(
                "\(found) is too long for sockets, which may have \(Self.longest) bytes in front: choose a shorter --data DIR"
            )
        }
        try checkOwner()
        do throws(SystemError) {
            // Root's Postgres is another user's, and has to pass.
            try restrict(found, geteuid() == 0 ? 0o711 : 0o700)
            for folder in [broker, redis, logs] {
                if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST { throw SystemError.last("mkdir", folder) }
                try restrict(folder, 0o700)
            }
            if !Files.exists(version) { try Files.create(version, Self.layout + "\n") }
        } catch {
            let hint =
                error.isOutOfSpace
                ? "make room on the disk" : "it has to be writable, or choose another with --data DIR"
            throw StackFault("\(found) cannot be used (\(error)): \(hint)")
        }
        try checkLayout()
    }

    private func checkOwner() throws(StackFault) {
        var about = stat()
        guard unsafe stat(path, &about) == 0 else { throw StackFault("\(SystemError.last("stat", path))") }
        guard about.st_uid == geteuid() else {
            throw StackFault("\(path) belongs to another user: choose another with --data DIR")
        }
        var names: [String] = []
        do throws(SystemError) { names = try Files.names(in: path) } catch {
            throw StackFault("\(path) cannot be read (\(error)): choose another with --data DIR")
        }
        let strange = names.filter { !Self.known.contains($0) }
        guard strange.isEmpty || names.contains("version") else {
            throw StackFault(
                "\(path) holds other things (\(strange.prefix(3).joined(separator: ", "))) and no stack: "
                    + "choose an empty or a new folder with --data DIR")
        }
    }

    private func restrict(_ path: String, _ mode: mode_t) throws(SystemError) {
        guard unsafe chmod(path, mode) == 0 else { throw SystemError.last("chmod", path) }
    }

    private func checkLayout() throws(StackFault) {
        let bytes = (try? Files.read(version, limit: 256)) ?? nil
        let found = String(decoding: bytes ?? [], as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        guard found == Self.layout else {
            throw StackFault(
                "\(path) was made by another version (\(found.debugDescription), this one makes \(Self.layout.debugDescription)): "
                    + "use that version, or another folder")
        }
    }

    // MARK: One stack at a time

    /// Takes the folder for as long as this process lives, whatever ends it. Throws when a stack runs here.
    package func take() throws(StackFault) {
        let file = unsafe flotilla_open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StackFault("\(SystemError.last("open", lock))") }
        let code = flotilla_try_lock(file)
        guard code != 0 else { return }
        close(file)
        if code == EWOULDBLOCK {
            let pid = RunningFile.read(self.file)?.process.number
            throw StackFault(
                "a stack runs in \(path)\(pid.map { " (process \($0))" } ?? "") already: "
                    + "flotilla status shows it, flotilla down ends it, --data DIR makes another")
        }
        throw StackFault("\(SystemError(code: code, call: "flock", subject: lock))")
    }

    /// Ends what the last stack left, and sees that there is room. To be called by who holds the lock.
    package func prepare(needsRoom: Bool = true) throws(StackFault) {
        if let old = RunningFile.read(file) { try Leftovers.end(old) }
        unsafe unlink(file)
        guard !needsRoom || free >= Self.leastRoom else {
            throw StackFault(
                "\(free >> 20) MiB are free on the disk of \(path), which is too few for servers: make room")
        }
    }

    /// Removes what the stack keeps, and the folder when nothing else is in it. To be called by who holds the lock.
    package func removeAll() throws(StackFault) {
        do throws(SystemError) {
            if let elsewhere = PrivatePostgres.elsewhere(self) { try Trees.remove(elsewhere) }
            // What says that this is a stack goes last, so that a removal that was cut off can be done again.
            for name in Self.known.sorted() where name != "version" { try Trees.remove("\(path)/\(name)") }
            try Trees.remove(version)
            if try Trees.names(in: path).isEmpty { try Trees.remove(path) }
        } catch { throw StackFault("not all could be removed: \(error)") }
    }

    /// A new Postgres takes fifty megabytes, and its log as much again.
    private static let leastRoom = 128 << 20

    /// Whether somebody holds it now.
    package var isTaken: Bool {
        let file = unsafe flotilla_open(lock, O_RDWR | O_CLOEXEC, 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flotilla_try_lock(file) == EWOULDBLOCK
    }

    /// So many bytes are free, as far as anybody can tell.
    package var free: Int {
        var about = statvfs()
        guard unsafe statvfs(path, &about) == 0 else { return .max }
        return Int(clamping: about.f_bavail).multipliedReportingOverflow(by: Int(clamping: about.f_frsize)).partialValue
    }
}
