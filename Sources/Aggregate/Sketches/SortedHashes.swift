/// A set of hashes as an array in ascending order: what is small, is stored often, and has to look the same whatever the
/// order in which it came to be. A new one moves at most 8 KB, which costs less than what a hash table would take.
struct SortedHashes: Hashable, Sendable {
    private(set) var hashes: [UInt64] = []

    var count: Int { hashes.count }

    func contains(_ hash: UInt64) -> Bool {
        let place = place(of: hash)
        return place < hashes.count && hashes[place] == hash
    }

    /// False when it was there already.
    @discardableResult
    mutating func insert(_ hash: UInt64) -> Bool {
        let place = place(of: hash)
        if place < hashes.count, hashes[place] == hash { return false }
        hashes.insert(hash, at: place)
        return true
    }

    mutating func formUnion(_ other: SortedHashes) {
        if hashes.isEmpty {
            hashes = other.hashes
            return
        }
        var union: [UInt64] = []
        union.reserveCapacity(count + other.count)
        var (at, theirs) = (0, 0)
        while at < count, theirs < other.count {
            let (one, two) = (hashes[at], other.hashes[theirs])
            union.append(min(one, two))
            if one <= two { at += 1 }
            if two <= one { theirs += 1 }
        }
        union.append(contentsOf: hashes[at...])
        union.append(contentsOf: other.hashes[theirs...])
        hashes = union
    }

    /// Where the hash stands or would stand.
    private func place(of hash: UInt64) -> Int {
        var (low, high) = (0, hashes.count)
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] < hash { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func write(to writer: inout SealedWriter) {
        writer.put(number: UInt64(count))
        writer.put(words: hashes)
    }

    init() {}

    /// Of hashes in any order, some of them more than once.
    init(of any: [UInt64]) {
        hashes.reserveCapacity(any.count)
        for hash in any.sorted() where hashes.last != hash { hashes.append(hash) }
    }

    init(from reader: inout SealedReader, limit: Int) throws(SketchFault) {
        let count = try reader.number()
        guard count <= UInt64(limit) else { throw .damaged }
        hashes = try reader.words(Int(count))
        for index in hashes.indices.dropFirst() where hashes[index - 1] >= hashes[index] { throw .damaged }
    }
}
