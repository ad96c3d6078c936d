/// The buckets of a `QuantileSketch`: which one a value falls into, and which value stands for all of a bucket.
///
/// DDSketch takes a logarithm for that. Here values are whole numbers of millionths below 10^18, so the buckets can be
/// listed: each begins behind the one before, and is as wide as it can be with one whole number within 1 % of all in it.
/// So the error is proved in integers, without the last bits of some machine's logarithm; every answer is a `Micros`;
/// small numbers have a bucket of their own; and there is an end: 2 000 buckets a sign reach from 0.000001 to 10^12.
///
/// Bucket 0 is the value 0; bucket -n has the negatives of bucket n.
enum QuantileBuckets {
    private struct Table {
        /// The highest value of each bucket, and the one that stands for all in it; both begin with bucket 0.
        var upper: [Int64] = [0]
        var middle: [Int64] = [0]
        /// By a value's leading six bits: the bucket of the lowest value that has them.
        var first: [Int16] = []

        init() {
            var lower: Int64 = 1
            while lower < Micros.unitLimit {
                // As far above the lowest as 1 % allows, and then as far above that: m ≤ 1.01 · lower and m ≥ 0.99 · upper.
                let middle = lower + lower / 100
                let upper = middle / 99 * 100 + middle % 99 * 100 / 99
                self.middle.append(middle)
                self.upper.append(upper)
                lower = upper + 1
            }
            var bucket = 0
            for slot in 0..<QuantileBuckets.slots {
                let lowest = QuantileBuckets.lowest(of: slot)
                while upper[bucket] < lowest, bucket < upper.count - 1 { bucket += 1 }
                first.append(Int16(bucket))
            }
        }
    }

    private static let table = Table()
    private static let slots = 60 * 32

    /// The number of the last bucket of either sign.
    static let last = Int16(table.upper.count - 1)

    static func bucket(of value: Micros) -> Int16 {
        let size = value.units.magnitude
        var bucket = size < 64 ? Int(size) : Int(table.first[slot(of: size)])
        // An octave has 32 slots and 35 buckets, so this ends after one step or two.
        while UInt64(table.upper[bucket]) < size { bucket += 1 }
        return value.units < 0 ? -Int16(bucket) : Int16(bucket)
    }

    /// Within 1 % of each value that falls into the bucket.
    static func middle(of bucket: Int16) -> Micros {
        let size = table.middle[Int(bucket.magnitude)]
        return Micros(unchecked: bucket < 0 ? -size : size)
    }

    /// The octave, and the five bits behind the first.
    private static func slot(of size: UInt64) -> Int {
        let octave = 63 - size.leadingZeroBitCount
        return octave * 32 + Int(size >> UInt64(octave - 5) & 31)
    }

    private static func lowest(of slot: Int) -> Int64 {
        let (octave, part) = (slot / 32, Int64(slot % 32))
        return octave < 5 ? 0 : (32 + part) << Int64(octave - 5)
    }
}
