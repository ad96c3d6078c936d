internal import CCompression

/// A gzip body on its way to be plain again, piece by piece.
///
/// A kilobyte can stand for a megabyte, so what comes out is bounded by what came in, and by what is wanted at a time.
@safe final class Gunzip {
    enum Fault: Error, Hashable, Sendable {
        case notGzip
        /// More than `ratioLimit` bytes of each.
        case bomb
    }

    /// JSON that repeats itself comes to 20 or 30.
    private static let ratioLimit = 100
    /// So much is always allowed: the beginning of a stream may be anything.
    private static let allowance = 1 << 20
    private static let pieceSize = 64 << 10
    /// What one takes: its output, the window of 32 KiB, and the library's tables.
    static let memory = pieceSize + (48 << 10)

    private let stream: UnsafeMutablePointer<z_stream>
    private let output: UnsafeMutableRawBufferPointer
    private var (taken, given) = (0, 0)
    /// Whether what has come so far is whole.
    private(set) var isAtEnd = true

    init() throws(Fault) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        unsafe output = .allocate(byteCount: Self.pieceSize, alignment: 1)
        // 15 bits of window, and 16 more for gzip's head and nothing else.
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(stream, 15 + 16, ZLIB_VERSION, size) == Z_OK else { throw .notGzip }
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
        unsafe output.deallocate()
    }

    /// Gives `body` what a piece stands for, in pieces that live as long as the call; it returns whether it wants more.
    /// Returns how much of the piece was read when it wanted no more.
    @discardableResult
    func take(_ piece: RawSpan, _ body: (RawSpan) -> Bool) throws(Fault) -> Int {
        let before = taken
        defer { taken = before + piece.byteCount - Int(unsafe stream.pointee.avail_in) }
        var fault: Fault?
        unsafe piece.withUnsafeBytes { input in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(clamping: input.count)
            while fault == nil {
                unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                unsafe stream.pointee.avail_out = UInt32(output.count)
                // Another member may follow the end of one.
                if isAtEnd, unsafe stream.pointee.avail_in > 0 { unsafe inflateReset(stream) }
                if isAtEnd, unsafe stream.pointee.avail_in == 0 { return }
                let code = unsafe inflate(stream, Z_NO_FLUSH)
                guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { return fault = .notGzip }
                isAtEnd = code == Z_STREAM_END
                let produced = Self.pieceSize - Int(unsafe stream.pointee.avail_out)
                given += produced
                if given > Self.allowance, given / Self.ratioLimit > before + piece.byteCount {
                    return fault = .bomb
                }
                if produced > 0 {
                    let mayGoOn = unsafe Self.lend(UnsafeRawBufferPointer(output), produced, body)
                    // With nothing left of the piece, the last bytes that it stands for would never come.
                    guard unsafe mayGoOn || stream.pointee.avail_in == 0 else { return }
                }
                if unsafe stream.pointee.avail_in == 0, produced < Self.pieceSize { return }
            }
        }
        if let fault { throw fault }
        return piece.byteCount - Int(unsafe stream.pointee.avail_in)
    }

    private static func lend(_ bytes: UnsafeRawBufferPointer, _ count: Int, _ body: (RawSpan) -> Bool) -> Bool {
        let span = unsafe RawSpan(_unsafeBytes: bytes)
        return body(span.extracting(0..<count))
    }

    /// A whole body; nil when it is longer than `limit`.
    static func whole(_ body: [UInt8], limit: Int) throws(Fault) -> [UInt8]? {
        let gunzip = try Gunzip()
        var plain: [UInt8] = []
        var isTooLong = false
        try unsafe gunzip.take(body.span.bytes) { piece in
            isTooLong = isTooLong || piece.byteCount > limit - plain.count
            if !isTooLong { unsafe piece.withUnsafeBytes { unsafe plain.append(contentsOf: $0) } }
            return !isTooLong
        }
        if isTooLong { return nil }
        guard gunzip.isAtEnd else { throw .notGzip }
        return plain
    }
}
