internal import Platform

// Walks over the batches of a file by their headers, in reads of a window's size.
//
// Memory is one window whatever a length field says: a batch larger than the window is checksummed piece by piece.
// Rejected: mmap, which turns a failing disk into SIGBUS instead of an error.

/// How a walk over batches ended.
enum ScanEnd: Equatable {
    /// At the limit.
    case complete
    /// The visitor wanted no more; the batch at this position was the last it saw.
    case stopped(at: Int64)
    /// Here no intact batch begins.
    case bad(at: Int64)
}

/// A walk over the batches of one file. Safe: the window lives as long as `scan`, and every access is inside `holds`.
@safe struct BatchScanner {
    /// For recovery: few system calls.
    static let wideWindow = 1 << 20
    /// For finding a batch between two index entries: one read.
    static let narrowWindow = Segment.indexInterval + RecordBatchHeader.bytes

    private let file: any OpenFile
    private let window: UnsafeMutableRawBufferPointer
    private var filledFrom: Int64 = 0
    private var filledCount = 0

    private init(_ file: any OpenFile, _ window: UnsafeMutableRawBufferPointer) {
        self.file = file
        unsafe self.window = window
    }

    /// Shows each batch that begins in `range` to `visit`, until it returns false.
    ///
    /// With `checking` a batch must also be whole inside the range, well formed and match its checksum.
    static func scan(
        _ file: any OpenFile, _ range: Range<Int64>, window: Int, checking: Bool,
        _ visit: (_ header: RecordBatchHeader, _ position: Int64) -> Bool
    ) throws(SystemError) -> ScanEnd {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: window, alignment: 16)
        defer { unsafe buffer.deallocate() }
        var scanner = unsafe BatchScanner(file, buffer)
        return try scanner.run(range, checking: checking, visit)
    }

    private mutating func run(
        _ range: Range<Int64>, checking: Bool, _ visit: (RecordBatchHeader, Int64) -> Bool
    ) throws(SystemError) -> ScanEnd {
        var position = range.lowerBound
        while position < range.upperBound {
            guard try holds(RecordBatchHeader.bytes, from: position) else { return .bad(at: position) }
            let header = unsafe RecordBatchHeader(bytes(from: position))
            guard header.totalBytes >= RecordBatchHeader.bytes else { return .bad(at: position) }
            if checking {
                let isIntact = try isIntact(header, at: position, limit: range.upperBound)
                guard isIntact else { return .bad(at: position) }
            }
            guard visit(header, position) else { return .stopped(at: position) }
            position += Int64(header.totalBytes)
        }
        return .complete
    }

    private mutating func isIntact(
        _ header: RecordBatchHeader, at position: Int64, limit: Int64
    ) throws(SystemError) -> Bool {
        guard header.isWellFormed, Int64(header.totalBytes) <= limit - position else { return false }
        var checksum: UInt32 = 0
        var at = position + Int64(RecordBatchHeader.checkedFrom)
        var left = header.totalBytes - RecordBatchHeader.checkedFrom
        while left > 0 {
            let piece = min(left, unsafe window.count)
            guard try holds(piece, from: at) else { return false }
            let part = unsafe bytes(from: at)
            checksum = unsafe UnsafeRawBufferPointer(rebasing: part[..<piece]).checksum(continuing: checksum)
            at += Int64(piece)
            left -= piece
        }
        return checksum == header.checksum
    }

    /// Whether `count` bytes, at most a window, from `position` are in the window, after a read if need be.
    private mutating func holds(_ count: Int, from position: Int64) throws(SystemError) -> Bool {
        if position >= filledFrom, position + Int64(count) <= filledFrom + Int64(filledCount) { return true }
        filledCount = try unsafe file.read(into: window, at: position)
        filledFrom = position
        return filledCount >= count
    }

    private func bytes(from position: Int64) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: window[Int(position - filledFrom)..<filledCount])
    }
}
