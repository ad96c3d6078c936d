internal import Glibc
internal import Platform

/// What a command prints that others go on with: all of it, or an error.
enum Output {
    /// Writes a line, at once.
    static func put(_ line: String, to file: Int32 = 1) throws(SystemError) {
        var rest = Array("\(line)\n".utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError.last("write") }
            rest = rest.dropFirst(count)
        }
    }
}
