internal import CLinux
internal import Glibc
internal import Platform
internal import Postgres

/// A Postgres of the stack's own: a cluster that nobody else reads, on a unix socket in its own folder, where the kernel
/// says who comes (peer), and only who started the stack is let in.
///
/// Its server refuses to be root, so root has it run as another user. That user has to get to its files: where a folder
/// above them keeps it out, they are under /var/lib/flotilla, and a link in the stack's folder says where.
struct PrivatePostgres: Sendable {
    /// Where the cluster is, and its socket.
    let data: String
    let account: Account?
    /// Where the link points, when it does not lie in the stack's folder.
    let isElsewhere: Bool
    private let programs: String
    private let owner: String

    static let superuser = "flotilla"
    /// For handlers that are not Flotilla's own.
    static let others = "flotilla_workers"
    private static let database = "postgres"
    private static let shelter = "/var/lib/flotilla"
    private static let oldest = 14

    func url(_ role: String) -> String {
        "postgresql:///\(Self.database)?host=\(URLText.encoded(data))&user=\(role)"
    }

    /// Finds the programs that fit the cluster, and the place for it.
    init(folder: StackFolder) throws(StackFault) {
        guard let mine = Account.mine else {
            throw StackFault(
                "user \(geteuid()) has no name on this machine, and Postgres needs one: add it to /etc/passwd")
        }
        owner = mine.name
        if geteuid() == 0 {
            guard let other = Account.named("postgres") ?? Account.named("nobody") else {
                throw StackFault("Postgres does not run as root, and there is no user postgres or nobody: add one")
            }
            account = other
        } else {
            account = nil
        }
        (data, isElsewhere) = try Self.place(folder, account)
        let made = Self.isMade(data) ? (try? Files.read(data + "/PG_VERSION", limit: 64)).flatMap { $0 } : nil
        let version = made.map { String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace } }
        programs = try Self.programs(version, data)
    }

    /// Whether the cluster was made to its end: what was begun has files too.
    var isMade: Bool { Self.isMade(data) }

    /// It says so itself, once, when it lies on the disk; and a server that ever ran on it has left its options.
    private static func isMade(_ data: String) -> Bool {
        Files.exists(data + "/flotilla_made") || Files.exists(data + "/postmaster.opts")
    }

    /// Takes away what was begun and not finished.
    func clear() throws(SystemError) {
        for name in try Trees.names(in: data) { try Trees.remove("\(data)/\(name)") }
    }

    // MARK: Where

    private static func place(_ folder: StackFolder, _ account: Account?) throws(StackFault) -> (String, Bool) {
        var about = stat()
        if unsafe lstat(folder.postgres, &about) == 0, about.st_mode & S_IFMT == S_IFLNK {
            guard let target = Files.resolved(folder.postgres), target.hasPrefix(shelter + "/") else {
                throw StackFault(
                    "\(folder.postgres) points to where no database is: bring it back, or flotilla reset --confirm begins anew"
                )
            }
            return (target, true)
        }
        do {
            if let account, let wall = wall(before: account, on: folder.path) {
                guard unsafe lstat(folder.postgres, &about) != 0 else {
                    throw StackFault(
                        "\(account.name), as whom Postgres runs, cannot pass \(wall) to its files: chmod o+x \(wall)")
                }
                let target = "\(shelter)/\(UUIDValue.version7())"
                try make(shelter, 0o711, nil)
                try make(target, 0o700, account)
                guard unsafe symlink(target, folder.postgres) == 0 else {
                    throw SystemError.last("symlink", folder.postgres)
                }
                return (target, true)
            }
            try make(folder.postgres, 0o700, account)
            return (folder.postgres, false)
        } catch let fault as StackFault {
            throw fault
        } catch {
            throw StackFault("Postgres' folder cannot be made: \(error)")
        }
    }

    /// Where the cluster of a stack is, when it is not in its folder.
    static func elsewhere(_ folder: StackFolder) -> String? {
        var about = stat()
        guard unsafe lstat(folder.postgres, &about) == 0, about.st_mode & S_IFMT == S_IFLNK,
            let target = Files.resolved(folder.postgres), target.hasPrefix(shelter + "/")
        else { return nil }
        return target
    }

    private static func make(_ path: String, _ mode: mode_t, _ account: Account?) throws(SystemError) {
        if unsafe mkdir(path, mode) != 0, errno != EEXIST { throw SystemError.last("mkdir", path) }
        guard unsafe chmod(path, mode) == 0 else { throw SystemError.last("chmod", path) }
        if let account, unsafe chown(path, account.user, account.group) != 0 { throw SystemError.last("chown", path) }
    }

    /// The folder above which keeps a user out; nil when there is none.
    private static func wall(before account: Account, on path: String) -> String? {
        var part = ""
        for name in path.split(separator: "/") {
            part += "/" + name
            var about = stat()
            guard unsafe stat(part, &about) == 0 else { return part }
            let bit: mode_t = about.st_uid == account.user ? 0o100 : about.st_gid == account.group ? 0o010 : 0o001
            if about.st_mode & bit == 0 { return part }
        }
        return nil
    }

    // MARK: With what

    /// The folder of the programs of one version, or of the newest.
    private static func programs(_ version: String?, _ data: String) throws(StackFault) -> String {
        let root = "/usr/lib/postgresql"
        let names = (try? Files.names(in: root)) ?? []
        var found = names.filter { unsafe access("\(root)/\($0)/bin/postgres", X_OK) == 0 }.compactMap { Int($0) }
            .filter { $0 >= oldest }.sorted()
        if let version {
            if found.contains(where: { "\($0)" == version }) { return "\(root)/\(version)/bin" }
            if found.isEmpty, let other = onPath() { return other }
            throw StackFault(
                "\(data) was made by Postgres \(version), which is not installed: apt-get install postgresql-\(version), "
                    + "or use another folder with --data DIR")
        }
        if let newest = found.popLast() { return "\(root)/\(newest)/bin" }
        if let other = onPath() { return other }
        throw StackFault(
            "there is no Postgres: apt-get install postgresql-15 (or make setup), or set DATABASE_URL to one that runs")
    }

    private static func onPath() -> String? {
        guard let program = Programs.find("initdb") else { return nil }
        return program.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    }

    // MARK: Parts

    /// Makes the cluster.
    func setup(_ environment: [String: String]) -> Part {
        // Not each of its thousand files by itself to the disk: `settle` does it for all at once.
        var part = part(
            "postgres-setup", .setup, environment, "initdb",
            [
                "-D", data, "-U", Self.superuser, "-E", "UTF8", "--locale=C", "-A", "peer", "--no-instructions", "-N",
            ])
        part.isOnce = true
        return part
    }

    func server(_ environment: [String: String]) -> Part {
        var part = part(
            "postgres", .postgres, environment, "postgres",
            [
                "-D", data, "-k", data, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
                "-c", "max_connections=500", "-c", "hba_file=\(data)/flotilla_hba.conf",
                "-c", "ident_file=\(data)/flotilla_ident.conf", "-c", "logging_collector=off",
                "-c", "log_destination=stderr", "-c", "log_checkpoints=off", "-c", "jit=off",
            ])
        part.stopSignal = SIGINT
        part.grace = 30_000
        return part
    }

    private func part(
        _ name: String, _ role: Part.Role, _ environment: [String: String], _ program: String, _ arguments: [String]
    ) -> Part {
        let path = "\(programs)/\(program)"
        var part = Part(name, role) { [account] in
            var launch = Launch(path, arguments, environment: environment)
            launch.account = account
            // Ends at once and mends its files at the next start; asked more kindly it waits for its disk.
            launch.deathSignal = SIGQUIT
            return (launch, nil)
        }
        part.isShown = false
        return part
    }

    /// Sees that what was made is on the disk, before it counts as made.
    func settle() throws(SystemError) {
        let file = unsafe open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError.last("open", data) }
        defer { close(file) }
        let code = flotilla_sync_file_system(file)
        if code != 0 { throw SystemError(code: code, call: "syncfs", subject: data) }
        try replace("flotilla_made", "")
    }

    /// Who is let in: who started the stack, as any of its roles. Written before every start, because that may be somebody
    /// else than last time.
    func writeAccess(_ roles: [String]) throws(SystemError) {
        let ident = ([Self.superuser, Self.others] + roles).map { "stack \(Self.quoted(owner)) \(Self.quoted($0))\n" }
        try replace("flotilla_ident.conf", ident.joined())
        try replace("flotilla_hba.conf", "local all all peer map=stack\n")
        try dropStaleLock()
    }

    private static func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }

    private func replace(_ name: String, _ text: String) throws(SystemError) {
        let (path, new) = ("\(data)/\(name)", "\(data)/\(name).new")
        unsafe unlink(new)
        try Files.create(new, text)
        guard unsafe chmod(new, 0o600) == 0 else { throw SystemError.last("chmod", new) }
        if let account, unsafe chown(new, account.user, account.group) != 0 { throw SystemError.last("chown", new) }
        guard unsafe rename(new, path) == 0 else { throw SystemError.last("rename", path) }
    }

    /// The lock of a server that was killed names a process; another may have its number now, and Postgres would take it
    /// for its own.
    private func dropStaleLock() throws(SystemError) {
        let path = data + "/postmaster.pid"
        guard let bytes = try? Files.read(path, limit: 4096),
            let pid = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first.flatMap({
                Int32($0)
            })
        else { return }
        let command = (try? Files.read("/proc/\(pid)/cmdline", limit: 65_536)).flatMap { $0 } ?? []
        let words = command.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard !words.contains(data) else { return }
        if unsafe unlink(path) != 0 { throw SystemError.last("unlink", path) }
    }

    // MARK: Roles

    /// Makes for each handler a role and a schema that is that role's alone. Harmless to repeat.
    func prepare(_ schemas: [(role: String, schema: String)]) async throws {
        var place = try PostgresConfiguration(url: url(Self.superuser))
        place.connections = 1
        let pool = try PostgresPool(place)
        defer { pool.close() }
        try await pool.transaction { transaction in
            for role in schemas.map(\.role) + [Self.others] {
                let known = try await transaction.query("SELECT 1 AS one FROM pg_roles WHERE rolname = \(role)")
                if known.isEmpty { try await transaction.execute("CREATE ROLE \(identifier: role) LOGIN") }
            }
            for (role, schema) in schemas {
                try await transaction.execute(
                    "CREATE SCHEMA IF NOT EXISTS \(identifier: schema) AUTHORIZATION \(identifier: role)")
            }
            try await transaction.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            try await transaction.execute(
                "GRANT CREATE ON DATABASE \(identifier: Self.database) TO \(identifier: Self.others)")
        }
    }
}
