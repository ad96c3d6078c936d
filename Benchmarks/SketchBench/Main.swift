import Aggregate

/// What the sketches cost, in instructions, which repeat where times do not:
///
///     swift build -c release --product SketchBench && strip -g -o sketches .build/release/SketchBench
///     valgrind --tool=callgrind --callgrind-out-file=/dev/null ./sketches known 20000
///     valgrind --tool=callgrind --callgrind-out-file=/dev/null ./sketches known 60000
///
/// The difference of the two counts, by 40 000, is one operation. (Valgrind 3.19 cannot read Swift's debug information.)
@main enum SketchBench {
    static func main() {
        let words = CommandLine.arguments
        guard words.count == 3, let count = Int(words[2]), let work = cases[words[1]] else {
            print("usage: SketchBench (\(cases.keys.sorted().joined(separator: "|"))) COUNT")
            return
        }
        print(work(count))
    }

    private static let cases: [String: @Sendable (Int) -> Int] = [
        // Ids of 16 bytes, over and over.
        "known": { count in
            let ids = ids(500)
            var sketch = uniques(500)
            for turn in 0..<count {
                let id = ids[turn % 500]
                sketch.insert(id.span)
            }
            return sketch.count
        },
        // A thousand new ones a sketch, all that it is exact for.
        "exact": { count in
            let ids = ids(1000)
            var sketch = UniqueSketch()
            for turn in 0..<count {
                if turn % 1000 == 0 { sketch = UniqueSketch() }
                let id = ids[turn % 1000]
                sketch.insert(id.span)
            }
            return sketch.count
        },
        "dense": { count in
            let ids = ids(4000)
            var sketch = uniques(4000)
            for turn in 0..<count {
                let id = ids[turn % 4000]
                sketch.insert(id.span)
            }
            return sketch.count
        },
        "merge-exact": { count in
            let (one, other) = (uniques(500), uniques(500, from: 250))
            return (0..<count).reduce(0) { sum, _ in sum + merged(one, other).count }
        },
        "merge-dense": { count in
            var (one, other) = (uniques(4000), uniques(4000, from: 2000))
            for _ in 0..<count { one.merge(other) }
            other.merge(one)
            return one.count
        },
        "count": { count in
            let sketch = uniques(4000)
            return (0..<count).reduce(0) { sum, _ in sum + sketch.count }
        },
        "store-exact": { count in
            let sketch = uniques(500)
            return (0..<count).reduce(0) { sum, _ in sum + sketch.stored.count }
        },
        "load-exact": { count in
            let stored = uniques(500).stored
            return (0..<count).reduce(0) { sum, _ in sum + ((try? UniqueSketch(stored: stored))?.count ?? 0) }
        },
        "store-dense": { count in
            let sketch = uniques(40_000)
            return (0..<count).reduce(0) { sum, _ in sum + sketch.stored.count }
        },
        "load-dense": { count in
            let stored = uniques(40_000).stored
            return (0..<count).reduce(0) { sum, _ in
                sum + ((try? UniqueSketch(stored: stored))?.isExact == false ? 1 : 0)
            }
        },
        "value": { count in
            var sketch = QuantileSketch()
            for turn in 0..<count { sketch.insert(price(turn)) }
            return sketch.bucketCount
        },
        "merge-values": { count in
            let (one, other) = (quantiles(1000), quantiles(2000))
            var sum = 0
            for _ in 0..<count {
                var merged = one
                merged.merge(other)
                sum += merged.bucketCount
            }
            return sum
        },
        "quantiles": { count in
            let sketch = quantiles(2000)
            return (0..<count).reduce(0) { sum, _ in sum + sketch.quantiles(percents: [50, 95, 99]).count }
        },
        "store-values": { count in
            let sketch = quantiles(2000)
            return (0..<count).reduce(0) { sum, _ in sum + sketch.stored.count }
        },
        "load-values": { count in
            let stored = quantiles(2000).stored
            return (0..<count).reduce(0) { sum, _ in sum + ((try? QuantileSketch(stored: stored))?.bucketCount ?? 0) }
        },
    ]

    private static func ids(_ count: Int, from first: Int = 0) -> [[UInt8]] {
        (first..<first + count).map { Array("user-\(10_000_000_000 + $0)".utf8) }
    }

    private static func uniques(_ count: Int, from first: Int = 0) -> UniqueSketch {
        var sketch = UniqueSketch()
        for id in ids(count, from: first) { sketch.insert(id.span) }
        return sketch
    }

    private static func merged(_ one: UniqueSketch, _ other: UniqueSketch) -> UniqueSketch {
        var merged = one
        merged.merge(other)
        return merged
    }

    /// From a cent to 200, the small ones more often.
    private static func price(_ turn: Int) -> Micros {
        let share = Int64(turn &* 7919 % 10_007)
        return Micros(units: share * share * 2 + 10_000) ?? .zero
    }

    private static func quantiles(_ count: Int) -> QuantileSketch {
        var sketch = QuantileSketch()
        for turn in 0..<count { sketch.insert(price(turn)) }
        return sketch
    }
}
