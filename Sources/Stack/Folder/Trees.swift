internal import Glibc
internal import Platform

/// Folders with all that is in them.
enum Trees {
    /// What a folder holds, what is hidden too.
    static func names(in folder: String) throws(SystemError) -> [String] {
        guard let stream = unsafe opendir(folder) else { throw SystemError.last("opendir", folder) }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file, or a folder with all that is in it. Links are removed, not followed.
    static func remove(_ path: String) throws(SystemError) {
        var about = stat()
        guard unsafe lstat(path, &about) == 0 else {
            if errno == ENOENT { return }
            throw SystemError.last("lstat", path)
        }
        if about.st_mode & S_IFMT == S_IFDIR {
            for name in try names(in: path) { try remove("\(path)/\(name)") }
            if unsafe rmdir(path) != 0 { throw SystemError.last("rmdir", path) }
        } else if unsafe unlink(path) != 0 {
            throw SystemError.last("unlink", path)
        }
    }
}
