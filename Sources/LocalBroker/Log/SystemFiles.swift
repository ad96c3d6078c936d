internal import CLinux
internal import Glibc
internal import Platform

/// The machine's own file system.
struct SystemFiles: FileLayer {
    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any OpenFile {
        try SystemFile(path, mode)
    }

    func list(_ directory: String) throws(SystemError) -> [String] {
        guard let stream = unsafe opendir(directory) else { throw .last("opendir", directory) }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
            errno = 0
        }
        // readdir answers an error and the end alike.
        guard errno == 0 else { throw .last("readdir", directory) }
        return names
    }

    @discardableResult
    func makeDirectory(_ path: String) throws(SystemError) -> Bool {
        if unsafe mkdir(path, 0o755) == 0 { return true }
        guard errno == EEXIST else { throw .last("mkdir", path) }
        return false
    }

    func syncDirectory(_ path: String) throws(SystemError) {
        let descriptor = unsafe flotilla_open(path, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw .last("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .last("fsync", path) }
    }

    func rename(_ path: String, to target: String) throws(SystemError) {
        guard unsafe Glibc.rename(path, target) == 0 else { throw .last("rename", path) }
    }

    func remove(_ path: String) throws(SystemError) {
        guard unsafe unlink(path) == 0 else { throw .last("unlink", path) }
    }

    func removeDirectory(_ path: String) throws(SystemError) {
        guard unsafe rmdir(path) == 0 else { throw .last("rmdir", path) }
    }
}

/// A file of the machine's file system.
final class SystemFile: OpenFile {
    let path: String
    let descriptor: Int32

    init(_ path: String, _ mode: OpenMode) throws(SystemError) {
        let flags =
            switch mode {
            case .existing: O_RDWR
            case .new: O_RDWR | O_CREAT | O_EXCL
            case .existingOrNew: O_RDWR | O_CREAT
            case .replaced: O_RDWR | O_CREAT | O_TRUNC
            }
        self.path = path
        descriptor = unsafe flotilla_open(path, flags, 0o644)
        guard descriptor >= 0 else { throw .last("open", path) }
    }

    deinit { close(descriptor) }

    func size() throws(SystemError) -> Int64 {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw .last("fstat", path) }
        return Int64(status.st_size)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws(SystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = unsafe pread(descriptor, rest.baseAddress, rest.count, off_t(position) + done)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .last("pread", path)
            }
            done += count
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at position: Int64) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(position) + done)
            if count < 0 {
                if errno == EINTR { continue }
                throw .last("pwrite", path)
            }
            done += count
        }
    }

    func sync() throws(SystemError) {
        guard fdatasync(descriptor) == 0 else { throw .last("fdatasync", path) }
    }

    func truncate(to size: Int64) throws(SystemError) {
        while ftruncate(descriptor, off_t(size)) != 0 {
            if errno != EINTR { throw .last("ftruncate", path) }
        }
    }

    func reserve(from position: Int64, count: Int64) {
        _ = flotilla_reserve(descriptor, off_t(position), off_t(count))
    }
}
