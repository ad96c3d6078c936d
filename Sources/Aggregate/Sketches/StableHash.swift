/// XXH64: 64 bits that stand for some bytes, the same in every process and on every machine, because they are stored.
/// (Swift's own hashes are seeded anew in each process.) It is no secret: who picks ids for it can make two of them
/// collide, and fools the count of their own campaign with that, no more.
///
/// A word at a time; 16 bytes cost about 100 instructions.
enum StableHash {
    private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
    private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
    private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
    private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

    static func of(_ bytes: borrowing Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
        var at = 0
        var hash: UInt64
        if bytes.count >= 32 {
            var (lane1, lane2) = (seed &+ prime1 &+ prime2, seed &+ prime2)
            var (lane3, lane4) = (seed, seed &- prime1)
            while at + 32 <= bytes.count {
                lane1 = round(lane1, word(bytes, at))
                lane2 = round(lane2, word(bytes, at + 8))
                lane3 = round(lane3, word(bytes, at + 16))
                lane4 = round(lane4, word(bytes, at + 24))
                at += 32
            }
            hash = rotated(lane1, 1) &+ rotated(lane2, 7) &+ rotated(lane3, 12) &+ rotated(lane4, 18)
            for lane in [lane1, lane2, lane3, lane4] { hash = (hash ^ round(0, lane)) &* prime1 &+ prime4 }
        } else {
            hash = seed &+ prime5
        }
        hash &+= UInt64(bytes.count)
        while at + 8 <= bytes.count {
            hash = rotated(hash ^ round(0, word(bytes, at)), 27) &* prime1 &+ prime4
            at += 8
        }
        if at + 4 <= bytes.count {
            let half = UInt64(word(bytes, at, width: 4))
            hash = rotated(hash ^ half &* prime1, 23) &* prime2 &+ prime3
            at += 4
        }
        while at < bytes.count {
            hash = rotated(hash ^ UInt64(bytes[at]) &* prime5, 11) &* prime1
            at += 1
        }
        hash = (hash ^ hash >> 33) &* prime2
        hash = (hash ^ hash >> 29) &* prime3
        return hash ^ hash >> 32
    }

    static func of(_ text: String) -> UInt64 { of(text.utf8.span) }

    /// The little-endian integer at a place that the caller has checked.
    @inline(__always)
    private static func word(_ bytes: borrowing Span<UInt8>, _ at: Int, width: Int = 8) -> UInt64 {
        // An integer of any bits is one, and both callers have compared `at + width` with the count.
        if width == 4 {
            return UInt64(
                UInt32(littleEndian: unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self)))
        }
        return UInt64(littleEndian: unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self))
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotated(lane &+ input &* prime2, 31) &* prime1
    }

    @inline(__always)
    private static func rotated(_ value: UInt64, _ count: UInt64) -> UInt64 {
        value << count | value >> (64 - count)
    }
}
