/// How many different members there were: exact up to 1000, then within 2 % for 98 % of sketches and 4 % for all.
///
/// While it is exact it keeps the members' 64-bit hashes. Two of a thousand have the same one in a window out of 10^13.
/// With the 1001st the hashes become the registers of a HyperLogLog, which are the same as if they had gone there at
/// once. So a sketch is a function of the set of its members and of nothing else: not of the order, not of how often one
/// came, not of what was merged with what.
///
/// Measured: of 20 000 sketches of 1001 to 20 000 members 0.05 % were off by more than 2 %, the worst by 2.4 %; of 20 000 of
/// 30 000 members 0.24 % and 2.6 %; of 10 000 of 100 000 members 0.8 % and 3.1 %. One standard deviation is 0.81 %
/// of however many more, by theory and in a thousand sketches of a million: then 1.4 % of sketches are beyond 2 %, and one in
/// a million is beyond 4 %.
///
/// Instructions (Benchmarks/SketchBench): a member of 16 bytes 310 when it is known, 600 when it is new, 150 once there are
/// registers; merging 500 with 500 exact ones 21 000, registers 4 900; the estimate 76 000; storing and reading 500 exact
/// ones 16 000 and 25 000, registers 240 000 and 230 000. Stored: 8 bytes a member while exact, then 2 a register in use,
/// 8.2 KB at most.
package struct UniqueSketch: Hashable, Sendable {
    package static let exactLimit = 1000
    private static let version: UInt8 = 1

    private enum Form { static let (exact, dense): (UInt8, UInt8) = (0, 1) }

    /// Empty once there are registers.
    private var members = SortedHashes()
    private var registers: Registers?

    package init() {}

    package var isEmpty: Bool { members.count == 0 && registers == nil }

    /// Whether `count` is no estimate.
    package var isExact: Bool { registers == nil }

    package mutating func insert(_ member: borrowing Span<UInt8>) { insert(hash: StableHash.of(member)) }

    package mutating func insert(_ member: String) { insert(hash: StableHash.of(member)) }

    mutating func insert(hash: UInt64) {
        guard registers == nil else {
            registers?.insert(hash)
            return
        }
        members.insert(hash)
        thicken()
    }

    /// Many at once: one pass over what is there for all of them.
    mutating func insert(hashes: [UInt64]) {
        if registers == nil, hashes.count > 8 {
            members.formUnion(SortedHashes(of: hashes))
            thicken()
        } else {
            for hash in hashes { insert(hash: hash) }
        }
    }

    /// About how much memory it takes.
    var memory: Int { registers == nil ? 8 * members.count : Registers.count + 512 }

    /// Makes this one of the members of both.
    package mutating func merge(_ other: UniqueSketch) {
        guard registers == nil || other.registers == nil else {
            if let theirs = other.registers { registers?.formUnion(theirs) }
            return
        }
        guard registers == nil, other.registers == nil else {
            // One has registers, the hashes of the other go there too.
            let hashes = registers == nil ? members : other.members
            registers = registers ?? other.registers
            members = SortedHashes()
            for hash in hashes.hashes { registers?.insert(hash) }
            return
        }
        members.formUnion(other.members)
        thicken()
    }

    package var count: Int {
        guard let registers else { return members.count }
        // There are more than were kept exactly, whatever is estimated; and no estimate can leave the range of numbers.
        let estimate = registers.estimate.rounded()
        return max(Self.exactLimit + 1, estimate < 0x1p62 ? Int(estimate) : 1 << 62)
    }

    private mutating func thicken() {
        guard members.count > Self.exactLimit else { return }
        var dense = Registers()
        for hash in members.hashes { dense.insert(hash) }
        registers = dense
        members = SortedHashes()
    }

    // MARK: Storing

    /// The same bytes for the same members.
    package var stored: [UInt8] {
        var writer = SealedWriter(
            .uniques, version: Self.version,
            capacity: registers == nil ? 3 + 8 * members.count : Registers.count / 2 + 64)
        if let registers {
            writer.put(byte: Form.dense)
            registers.write(to: &writer)
        } else {
            writer.put(byte: Form.exact)
            members.write(to: &writer)
        }
        return writer.sealed()
    }

    package init(stored bytes: [UInt8]) throws(SketchFault) {
        var reader = try SealedReader(.uniques, version: Self.version, bytes)
        switch try reader.byte() {
        case Form.exact: members = try SortedHashes(from: &reader, limit: Self.exactLimit)
        case Form.dense: registers = try Registers(from: &reader)
        case _: throw .damaged
        }
        try reader.finish()
    }
}
