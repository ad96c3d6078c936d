/// Where the quantiles of some values lie, within 1 % of the value: a DDSketch.
///
/// It counts the values of each bucket, and buckets grow with what they hold (see `QuantileBuckets`), so the error is
/// relative: 1 % of a cent and 1 % of a million. The decimals of events have a smallest and a largest size, which bounds
/// the buckets at about 4 000 for both signs, 24 KB, without ever collapsing the lowest as DDSketch must. The bound on
/// the error therefore holds for every quantile of every input. Only the buckets in use are kept: a window of one price
/// has one.
///
/// Merging adds counts, so it is exact: it does not matter what was merged with what, in which order. A sketch merged
/// twice counts twice. Lowest and highest value are kept as they are, so that the quantiles of one price are that price.
///
/// Instructions (Benchmarks/SketchBench): a value 310 among 200 buckets; merging two of those 26 000; three quantiles 10 000;
/// storing 31 000, reading 76 000.
package struct QuantileSketch: Hashable, Sendable {
    private static let version: UInt8 = 1
    /// More than anybody can have put in: two millions a second for a thousand years. What was stored by somebody else
    /// says more at times, and counts that stop at the end of their range tell other quantiles when they are merged.
    private static let mostValues: Int64 = 1 << 56

    /// Ascending, and how many values are in each; beside each other, as a search reads only the first.
    private var buckets: [Int16] = []
    private var counts: [Int64] = []
    private var lowest = Micros.zero
    private var highest = Micros.zero

    package init() {}

    package var isEmpty: Bool { buckets.isEmpty }
    package var bucketCount: Int { buckets.count }
    /// About how much memory it takes.
    var memory: Int { 10 * buckets.count }

    /// How many values were put in.
    package var count: Int64 { counts.reduce(0, Self.sum) }

    /// Counts stop at the end of their range instead of trapping, for the sake of bytes that were stored by somebody
    /// else: a window that gets there honestly takes centuries.
    private static func sum(_ one: Int64, _ other: Int64) -> Int64 {
        let (sum, overflow) = one.addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    package mutating func insert(_ value: Micros) {
        lowest = isEmpty ? value : min(lowest, value)
        highest = isEmpty ? value : max(highest, value)
        let bucket = QuantileBuckets.bucket(of: value)
        let place = place(of: bucket)
        if place < buckets.count, buckets[place] == bucket {
            counts[place] = Self.sum(counts[place], 1)
        } else {
            buckets.insert(bucket, at: place)
            counts.insert(1, at: place)
        }
    }

    private func place(of bucket: Int16) -> Int {
        var (low, high) = (0, buckets.count)
        while low < high {
            let middle = (low + high) / 2
            if buckets[middle] < bucket { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Makes this one of the values of both.
    package mutating func merge(_ other: QuantileSketch) {
        guard !other.isEmpty else { return }
        guard !isEmpty else {
            self = other
            return
        }
        lowest = min(lowest, other.lowest)
        highest = max(highest, other.highest)
        var (merged, sums): ([Int16], [Int64]) = ([], [])
        merged.reserveCapacity(buckets.count + other.buckets.count)
        sums.reserveCapacity(buckets.count + other.buckets.count)
        var (at, theirs) = (0, 0)
        while at < buckets.count || theirs < other.buckets.count {
            let one = at < buckets.count ? buckets[at] : .max
            let two = theirs < other.buckets.count ? other.buckets[theirs] : .max
            merged.append(min(one, two))
            sums.append(Self.sum(one <= two ? counts[at] : 0, two <= one ? other.counts[theirs] : 0))
            if one <= two { at += 1 }
            if two <= one { theirs += 1 }
        }
        buckets = merged
        counts = sums
    }

    /// The value that `percent` of all are not above: the one in place ⌈n · percent / 100⌉ by size. Nil without values.
    package func quantile(percent: Int) -> Micros? {
        quantiles(percents: [percent]).first
    }

    /// Several at once, in ascending order of percent; empty without values.
    package func quantiles(percents: [Int]) -> [Micros] {
        guard !isEmpty else { return [] }
        let count = Int128(count)
        var (found, place, passed): ([Micros], Int, Int128) = ([], 0, 0)
        for percent in percents {
            let rank = max(1, (count * Int128(min(max(percent, 0), 100)) + 99) / 100)
            while place < buckets.count - 1, passed + Int128(counts[place]) < rank {
                passed += Int128(counts[place])
                place += 1
            }
            found.append(min(max(QuantileBuckets.middle(of: buckets[place]), lowest), highest))
        }
        return found
    }

    // MARK: Storing

    /// The same bytes for the same values; some three a bucket.
    package var stored: [UInt8] {
        var writer = SealedWriter(.quantiles, version: Self.version, capacity: 24 + 4 * buckets.count)
        writer.put(number: UInt64(buckets.count))
        guard let first = buckets.first else { return writer.sealed() }
        writer.put(signed: lowest.units)
        writer.put(number: UInt64(highest.units - lowest.units))
        var last = first
        for (bucket, count) in zip(buckets, counts) {
            // The first bucket is that of the lowest value.
            if bucket != first { writer.put(number: UInt64(bucket - last - 1)) }
            writer.put(number: UInt64(count))
            last = bucket
        }
        return writer.sealed()
    }

    package init(stored bytes: [UInt8]) throws(SketchFault) {
        var reader = try SealedReader(.quantiles, version: Self.version, bytes)
        let count = try reader.number()
        guard count <= UInt64(reader.remaining) else { throw .damaged }
        if count > 0 {
            guard let lowest = Micros(units: try reader.signed()),
                let span = Int64(exactly: try reader.number()), span < 2 * Micros.unitLimit,
                let highest = Micros(units: lowest.units + span)
            else { throw .damaged }
            (self.lowest, self.highest) = (lowest, highest)
            buckets.reserveCapacity(Int(count))
            counts.reserveCapacity(Int(count))
        }
        for index in 0..<count {
            let bucket = index == 0 ? Int(QuantileBuckets.bucket(of: lowest)) : try next(&reader)
            guard bucket <= Int(QuantileBuckets.last), let values = Int64(exactly: try reader.number()), values > 0
            else { throw .damaged }
            buckets.append(Int16(bucket))
            counts.append(values)
        }
        if let last = buckets.last, last != QuantileBuckets.bucket(of: highest) { throw .damaged }
        guard self.count <= Self.mostValues else { throw .damaged }
        try reader.finish()
    }

    private func next(_ reader: inout SealedReader) throws(SketchFault) -> Int {
        let distance = try reader.number()
        guard distance <= UInt64(2 * Int(QuantileBuckets.last)), let last = buckets.last else { throw .damaged }
        return Int(last) + 1 + Int(distance)
    }
}
