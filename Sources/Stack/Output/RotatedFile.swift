internal import CLinux
internal import Glibc
internal import Platform

/// A file of lines that is set aside when it is full: `worker.log`, `worker.log.1`, and so on.
///
/// What cannot be written (a full disk) is dropped: nobody who writes a log may come to a stop because of it.
struct RotatedFile: ~Copyable {
    private let path: String
    private let limit: Int
    private let kept: Int
    private var file: Int32 = -1
    private var size = 0

    /// `kept`: how many full ones stay.
    init(_ path: String, limit: Int = 8 << 20, kept: Int = 3) {
        self.path = path
        self.limit = limit
        self.kept = kept
    }

    deinit { if file >= 0 { close(file) } }

    mutating func append(_ line: String) {
        if file < 0 { open() }
        guard file >= 0 else { return }
        if size > 0, size + line.utf8.count + 1 > limit { rotate() }
        var text = line + "\n"
        let count = text.withUTF8 { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        if count > 0 { size += count }
    }

    private mutating func open() {
        file = unsafe flotilla_open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var about = stat()
        if file >= 0, unsafe fstat(file, &about) == 0 { size = Int(about.st_size) }
    }

    private mutating func rotate() {
        close(file)
        file = -1
        for number in stride(from: kept, to: 0, by: -1) {
            unsafe rename(number == 1 ? path : "\(path).\(number - 1)", "\(path).\(number)")
        }
        size = 0
        open()
    }
}
