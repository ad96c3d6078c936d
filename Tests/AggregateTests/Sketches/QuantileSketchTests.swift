import Glibc
import TestSupport
import Testing

@testable import Aggregate

@Suite struct QuantileBucketsTests {
    /// All buckets, at both ends of each: that no value is without one, and that 1 % holds, in whole numbers.
    @Test func everyBucketStandsWithinOnePercentOfAllThatIsInIt() throws {
        var bucket: Int16 = 1
        var lower: Int64 = 1
        while lower < Micros.unitLimit {
            // The end of the bucket, by halving.
            var (inside, outside) = (lower, Micros.unitLimit)
            while outside - inside > 1 {
                let middle = inside + (outside - inside) / 2
                if QuantileBuckets.bucket(of: Micros(unchecked: middle)) <= bucket {
                    inside = middle
                } else {
                    outside = middle
                }
            }
            let answer = Int128(QuantileBuckets.middle(of: bucket).units)
            for edge in [lower, inside] {
                #expect(QuantileBuckets.bucket(of: Micros(unchecked: edge)) == bucket)
                #expect(QuantileBuckets.bucket(of: Micros(unchecked: -edge)) == -bucket)
                #expect(100 * (answer - Int128(edge)).magnitude <= UInt128(edge))
            }
            #expect(QuantileBuckets.middle(of: -bucket).units == -QuantileBuckets.middle(of: bucket).units)
            bucket += 1
            lower = inside + 1
        }
        #expect(bucket - 1 == QuantileBuckets.last)
        #expect(QuantileBuckets.last < 2000)
        #expect(QuantileBuckets.bucket(of: .zero) == 0 && QuantileBuckets.middle(of: 0) == .zero)
    }
}

@Suite struct QuantileSketchTests {
    enum Shape: CaseIterable {
        case uniform, logNormal, constant, twoValued, heavyTail, negative, bothSigns, integers, tiny, wholeRange,
            mostlyZero

        func value(_ dice: inout TestDice) -> Micros {
            let share = Double.random(in: 0x1p-50..<1, using: &dice)
            let units: Double =
                switch self {
                case .uniform: share * 1e9
                case .logNormal: 20e6 * exp(1.5 * Self.normal(&dice))
                case .constant: 19_990_000
                case .twoValued: share < 0.97 ? 5e6 : -9.99e17
                case .heavyTail: 1e6 / pow(share, 1.6)
                case .negative: -1e6 * exp(Self.normal(&dice))
                case .bothSigns: 1e8 * Self.normal(&dice)
                case .integers: 1e6 * (share * 7).rounded(.down)
                case .tiny: (share * 300).rounded()
                case .wholeRange: exp(share * 41.4) * (Bool.random(using: &dice) ? 1 : -1)
                case .mostlyZero: share < 0.8 ? 0 : share * 1e7
                }
            return Micros(units: Int64(units.rounded())) ?? Micros(unchecked: Micros.unitLimit - 1)
        }

        private static func normal(_ dice: inout TestDice) -> Double {
            let (one, other) = (
                Double.random(in: 0x1p-50..<1, using: &dice), Double.random(in: 0..<1, using: &dice)
            )
            return (-2 * log(one)).squareRoot() * cos(2 * .pi * other)
        }
    }

    @Test(arguments: Shape.allCases, TestDice.seeds(3)) func quantilesAreWithinOnePercent(shape: Shape, seed: UInt64) {
        var dice = TestDice(seed: seed)
        for size in [1, 2, 3, 19, 100, 101, 5000] {
            var sketch = QuantileSketch()
            let values = (0..<size).map { _ in shape.value(&dice) }
            for value in values { sketch.insert(value) }
            let sorted = values.sorted()
            let percents = [0, 1, 50, 95, 99, 100]
            let found = sketch.quantiles(percents: percents)
            #expect(found.count == percents.count)
            for (percent, answer) in zip(percents, found) {
                let truth = sorted[max(1, (size * percent + 99) / 100) - 1]
                let error = (Int128(answer.units) - Int128(truth.units)).magnitude
                #expect(
                    100 * error <= UInt128(truth.units.magnitude),
                    "seed \(seed): p\(percent) of \(size) is \(answer), not \(truth)")
                #expect(sketch.quantile(percent: percent) == answer, "seed \(seed)")
            }
            #expect(found == found.sorted(), "seed \(seed)")
            #expect(sketch.count == Int64(size), "seed \(seed)")
            #expect(sketch.bucketCount <= 2 * Int(QuantileBuckets.last) + 1, "seed \(seed)")
        }
    }

    @Test func onePriceIsAnsweredExactly() throws {
        var sketch = QuantileSketch()
        #expect(sketch.isEmpty && sketch.quantile(percent: 50) == nil && sketch.quantiles(percents: [50]) == [])
        let price = try #require(Micros(text: "19.99"))
        for _ in 0..<1000 { sketch.insert(price) }
        #expect(sketch.quantiles(percents: [50, 95, 99]) == [price, price, price])
        #expect(sketch.bucketCount == 1)
        #expect(sketch.stored.count < 16)
    }

    @Test func wordsBeyondHundredPercentAreTheEnds() throws {
        var sketch = QuantileSketch()
        for units: Int64 in [-1, 0, 1] { sketch.insert(Micros(unchecked: units)) }
        #expect(sketch.quantiles(percents: [.min, 0, 100, .max]).map(\.units) == [-1, -1, 1, 1])
    }

    /// Merging is adding: whatever is merged with what, the result is that of inserting all.
    @Test(arguments: Shape.allCases, TestDice.seeds(2)) func mergingIsExact(shape: Shape, seed: UInt64) {
        var dice = TestDice(seed: seed)
        var parts = (0..<5).map { _ in QuantileSketch() }
        var all = QuantileSketch()
        for _ in 0..<1500 {
            let value = (dice.chance(20) ? Shape.allCases.randomElement(using: &dice) ?? shape : shape).value(&dice)
            all.insert(value)
            parts[Int.random(in: 0..<4, using: &dice)].insert(value)
        }
        for _ in 0..<4 {
            // A random tree over a random order; the last part is empty.
            var left = parts.shuffled(using: &dice)
            while left.count > 1 {
                let other = left.remove(at: Int.random(in: 0..<left.count, using: &dice))
                let place = Int.random(in: 0..<left.count, using: &dice)
                left[place].merge(other)
            }
            #expect(left[0] == all && left[0].stored == all.stored, "seed \(seed)")
        }
    }

    @Test func countsStopAtTheirEnd() throws {
        var sketch = QuantileSketch()
        for units: Int64 in [-7, 0, 7] { sketch.insert(Micros(unchecked: units)) }
        for _ in 0..<50 { sketch.merge(sketch) }
        #expect(try QuantileSketch(stored: sketch.stored) == sketch)
        // Nobody can have put in so many.
        for _ in 50..<70 { sketch.merge(sketch) }
        #expect(sketch.count == .max)
        #expect(sketch.quantiles(percents: [0, 50, 100]).count == 3)
        sketch.insert(.zero)
        #expect(throws: SketchFault.damaged) { try QuantileSketch(stored: sketch.stored) }
    }
}
