internal import CHiredis

/// Bytes of the connection in, answers out: hiredis' own reader, which keeps what is incomplete.
@safe final class ReplyReader {
    private let reader: UnsafeMutablePointer<redisReader>
    /// Answers nest no deeper than this; ours go two levels.
    private static let depthLimit = 8

    init() {
        guard let reader = unsafe redisReaderCreate() else { fatalError("no memory for a reader") }
        unsafe self.reader = reader
        // What is kept between answers; a large one is given back.
        unsafe reader.pointee.maxbuf = 64 * 1024
    }

    deinit { unsafe redisReaderFree(reader) }

    func feed(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        unsafe _ = redisReaderFeed(reader, base.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// The next answer, nil when it has not all come yet.
    func next() throws(RedisFault) -> RedisValue? {
        var reply: UnsafeMutableRawPointer?
        guard unsafe redisReaderGetReply(reader, &reply) == REDIS_OK else {
            throw RedisFault(.garbled, "what came is not Redis' protocol", mayHaveHappened: true)
        }
        guard let reply = unsafe reply else { return nil }
        defer { unsafe freeReplyObject(reply) }
        return unsafe Self.value(reply.assumingMemoryBound(to: redisReply.self), depth: 0)
    }

    private static func value(_ reply: UnsafeMutablePointer<redisReply>, depth: Int) -> RedisValue {
        switch unsafe reply.pointee.type {
        case REDIS_REPLY_INTEGER: return unsafe .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING: return .bytes(unsafe bytes(reply))
        case REDIS_REPLY_STATUS: return .status(String(decoding: unsafe bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: unsafe bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            guard depth < depthLimit else { return .null }
            var values: [RedisValue] = []
            let count = unsafe Int(reply.pointee.elements)
            values.reserveCapacity(count)
            for index in 0..<count {
                guard let element = unsafe reply.pointee.element[index] else { continue }
                values.append(unsafe value(element, depth: depth + 1))
            }
            return .array(values)
        case _: return .null
        }
    }

    private static func bytes(_ reply: UnsafeMutablePointer<redisReply>) -> [UInt8] {
        guard let start = unsafe reply.pointee.str else { return [] }
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: Int(reply.pointee.len)))
    }
}

extension RedisCommand {
    /// Appends the command as Redis reads it.
    func append(to output: inout [UInt8]) {
        unsafe bytes.withUnsafeBytes { buffer in
            let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            var at = 0
            var pointers: [UnsafePointer<CChar>?] = unsafe []
            unsafe pointers.reserveCapacity(lengths.count)
            for length in lengths {
                unsafe pointers.append(base.map { unsafe $0 + at })
                at += length
            }
            var formatted: UnsafeMutablePointer<CChar>?
            let count = unsafe redisFormatCommandArgv(&formatted, Int32(lengths.count), &pointers, lengths)
            guard count > 0, let formatted = unsafe formatted else { return }
            unsafe output.append(contentsOf: UnsafeRawBufferPointer(start: formatted, count: Int(count)))
            unsafe redisFreeCommand(formatted)
        }
    }
}
