internal import CCompression

// The codecs of Kafka's batches, to the extent that finding a record by time needs them. A limit on the output stops a
// batch that promises gigabytes; what was expanded until then is still good to look at.

/// Expands the bodies of compressed batches.
enum Decompression {
    /// The first `limit` bytes, or a few more, of what a batch's body expands to; nil when it is not in that codec.
    static func expanded(_ body: [UInt8], codec: Int16, limit: Int) -> [UInt8]? {
        switch codec {
        case 0: body
        case 1: gzip(body, limit)
        case 2: snappy(body, limit)
        case 3: lz4(body, limit)
        case 4: zstd(body, limit)
        default: nil
        }
    }

    /// One step of a streaming decoder.
    private struct Step {
        let consumed: Int
        let produced: Int
        /// The input so far ends with the end of a frame.
        let isFrameEnd: Bool
    }

    /// Drives a streaming decoder to the end of the input, or to the limit.
    private static func stream(
        _ input: [UInt8], _ limit: Int,
        _ step: (_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Step?
    ) -> [UInt8]? {
        var output: [UInt8] = []
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { unsafe chunk.deallocate() }
        return unsafe input.withUnsafeBytes { bytes in
            var position = 0
            while output.count < limit {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
                guard let done = unsafe step(rest, chunk) else { return nil }
                position += done.consumed
                unsafe output.append(contentsOf: chunk[..<done.produced])
                if position == bytes.count, done.isFrameEnd { return output }
                // No progress: the input ends inside a frame.
                guard done.consumed > 0 || done.produced > 0 else { return nil }
            }
            return output
        }
    }

    private static func gzip(_ body: [UInt8], _ limit: Int) -> [UInt8]? {
        var state = unsafe z_stream()
        // 15 bits of window, and 32 more to take a zlib head as well as gzip's.
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(&state, 15 + 32, ZLIB_VERSION, size) == Z_OK else { return nil }
        defer { unsafe inflateEnd(&state) }
        return unsafe stream(body, limit) { input, output in
            unsafe state.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            unsafe state.avail_in = UInt32(input.count)
            unsafe state.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe state.avail_out = UInt32(output.count)
            let code = unsafe inflate(&state, Z_NO_FLUSH)
            guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { return nil }
            let step = unsafe Step(
                consumed: input.count - Int(state.avail_in), produced: output.count - Int(state.avail_out),
                isFrameEnd: code == Z_STREAM_END)
            // Another member may follow.
            if code == Z_STREAM_END { unsafe inflateReset(&state) }
            return step
        }
    }

    private static func lz4(_ body: [UInt8], _ limit: Int) -> [UInt8]? {
        var context: OpaquePointer?
        guard unsafe LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0 else {
            return nil
        }
        defer { unsafe LZ4F_freeDecompressionContext(context) }
        return unsafe stream(body, limit) { input, output in
            var consumed = input.count
            var produced = output.count
            let hint = unsafe LZ4F_decompress(
                context, output.baseAddress, &produced, input.baseAddress, &consumed, nil)
            guard LZ4F_isError(hint) == 0 else { return nil }
            return Step(consumed: consumed, produced: produced, isFrameEnd: hint == 0)
        }
    }

    private static func zstd(_ body: [UInt8], _ limit: Int) -> [UInt8]? {
        guard let context = unsafe ZSTD_createDCtx() else { return nil }
        defer { unsafe ZSTD_freeDCtx(context) }
        // A frame may ask for a window of 128 MiB; more than the limit is no use here.
        guard unsafe ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 24)) == 0 else { return nil }
        return unsafe stream(body, limit) { input, output in
            var from = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var into = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let hint = unsafe ZSTD_decompressStream(context, &into, &from)
            guard ZSTD_isError(hint) == 0 else { return nil }
            return unsafe Step(consumed: from.pos, produced: into.pos, isFrameEnd: hint == 0)
        }
    }

    /// How the Java library frames snappy: this, two versions, and blocks behind their lengths.
    private static let xerialMagic: [UInt8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]
    private static let xerialHead = 16

    private static func snappy(_ body: [UInt8], _ limit: Int) -> [UInt8]? {
        guard body.count >= xerialHead, body.starts(with: xerialMagic) else { return snappyBlock(body[...], limit) }
        var output: [UInt8] = []
        var reader = ByteReader(body[xerialHead...])
        while reader.remaining > 0, output.count < limit {
            guard let length = reader.take(Int32.self), let block = reader.take(count: Int(length)),
                let part = snappyBlock(block, limit)
            else { return nil }
            output += part
        }
        return output
    }

    /// Snappy has no streaming decoder, but says its size first.
    private static func snappyBlock(_ block: ArraySlice<UInt8>, _ limit: Int) -> [UInt8]? {
        unsafe block.withUnsafeBytes { bytes in
            let input = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            var size = 0
            guard unsafe snappy_uncompressed_length(input, bytes.count, &size) == SNAPPY_OK, size <= limit else {
                return nil
            }
            var isIntact = false
            let output = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                unsafe buffer.withMemoryRebound(to: CChar.self) { target in
                    var written = size
                    isIntact =
                        unsafe snappy_uncompress(input, bytes.count, target.baseAddress, &written) == SNAPPY_OK
                    count = isIntact ? written : 0
                }
            }
            return isIntact ? output : nil
        }
    }
}
