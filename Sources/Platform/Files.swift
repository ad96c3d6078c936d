internal import CLinux
internal import Glibc

/// Files of people, read whole: settings, topic files, schemas.
public enum Files {
    /// The content of a file; nil when it has more than `limit` bytes.
    public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8]? {
        let file = unsafe flotilla_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { throw SystemError.last("open", path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        // Read to the end rather than to the size: what a pipe or /proc holds has none.
        while bytes.count <= limit {
            var failure: SystemError?
            let more = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                var got = -1
                repeat {
                    got = unsafe Glibc.read(file, buffer.baseAddress, buffer.count)
                } while got < 0 && errno == EINTR
                if got < 0 { failure = SystemError.last("read", path) }
                count = max(0, got)
            }
            if let failure { throw failure }
            if more.isEmpty { return bytes }
            bytes += more
        }
        return nil
    }

    /// The names of what a folder holds, sorted; hidden ones are left out.
    public static func names(in folder: String) throws(SystemError) -> [String] {
        guard let stream = unsafe opendir(folder) else { throw SystemError.last("opendir", folder) }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    /// Writes a new file; one that is there already is a fault, and stays what it is.
    public static func create(_ path: String, _ text: String) throws(SystemError) {
        let file = unsafe flotilla_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SystemError.last("create", path) }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError.last("write", path) }
            rest = rest.dropFirst(count)
        }
    }

    /// Makes a folder, and those above it that are missing.
    /// Runs `body` while nobody else does who names the same file, in this process or another. The file is made when there
    /// is none, and stays; the kernel drops the lock with its holder.
    public static func locked<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        let file = unsafe flotilla_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError.last("open", path) }
        defer { close(file) }
        let code = flotilla_lock(file)
        guard code == 0 else { throw SystemError(code: code, call: "flock", subject: path) }
        return try body()
    }

    public static func createFolder(_ path: String) throws(SystemError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            if unsafe mkdir(made, 0o755) != 0, errno != EEXIST { throw SystemError.last("mkdir", made) }
        }
    }

    /// The path as it is without links, `.` and `..`, from the root on; nil when nothing is there.
    public static func resolved(_ path: String) -> String? {
        guard let found = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }

    /// Whether there surely is no such file, rather than one that cannot be reached.
    public static func isGone(_ path: String) -> Bool {
        guard unsafe access(path, F_OK) != 0 else { return false }
        return errno == ENOENT
    }

    public static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }
}
