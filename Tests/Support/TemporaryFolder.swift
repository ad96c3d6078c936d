import Glibc

/// A folder that is removed with everything in it when the object goes.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() {
        let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/flotilla-test.XXXXXX".utf8CString)
        unsafe precondition(mkdtemp(&template) != nil, "cannot make a folder in \(base)")
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { remove() }

    /// Removes it before its time, for what lives as long as the process.
    package func remove() { Self.remove(path) }

    private static func remove(_ path: String) {
        if let stream = unsafe opendir(path) {
            while let entry = unsafe readdir(stream) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                    unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
                }
                if name != "." && name != ".." { remove(path + "/" + name) }
            }
            unsafe closedir(stream)
            unsafe rmdir(path)
        } else {
            unsafe unlink(path)
        }
    }
}
