import TestSupport
import Testing

@testable import Aggregate

@Suite struct UniqueSketchTests {
    @Test func itIsExactToAThousandAndSaysSo() {
        var sketch = UniqueSketch()
        #expect(sketch.isEmpty && sketch.count == 0)
        for member in 1...1000 {
            for _ in 0..<3 { sketch.insert("user-\(member)") }
            #expect(sketch.count == member)
        }
        #expect(sketch.isExact)
        for member in 1...1000 { sketch.insert("user-\(member)") }
        #expect(sketch.isExact && sketch.count == 1000)
        sketch.insert("user-1001")
        #expect(!sketch.isExact && !sketch.isEmpty)
        #expect(sketch.count >= 1001 && sketch.count < 1040)
    }

    @Test func bytesAndTextAreTheSameMember() {
        var sketch = UniqueSketch()
        sketch.insert("çağrı")
        sketch.insert(Array("çağrı".utf8).span)
        #expect(sketch.count == 1)
        sketch.insert("")
        sketch.insert("\u{1F469}\u{200D}\u{1F680}")
        #expect(sketch.count == 3)
    }

    /// A sketch is a function of the set: whatever is merged with what, the result is that of inserting all.
    @Test(arguments: TestDice.seeds(4)) func mergingIsTheUnionOfSets(seed: UInt64) {
        var dice = TestDice(seed: seed)
        func some() -> Set<UInt64> {
            let count = [0, 1, 10, 400, 990, 1000, 1001, 1500, 4000].randomElement(using: &dice) ?? 0
            // From so few that they overlap.
            return Set((0..<count).map { _ in Self.spread(dice.next() % 6000) })
        }
        for _ in 0..<6 {
            let (one, two, three) = (some(), some(), some())
            let (a, b, c) = (sketch(one, &dice), sketch(two, &dice), sketch(three, &dice))
            #expect(merged(a, b) == merged(b, a), "seed \(seed)")
            #expect(merged(merged(a, b), c) == merged(a, merged(b, c)), "seed \(seed)")
            #expect(merged(a, a) == a, "seed \(seed)")
            #expect(merged(a, UniqueSketch()) == a && merged(UniqueSketch(), a) == a, "seed \(seed)")
            #expect(merged(merged(a, b), b) == merged(a, b), "seed \(seed)")
            let all = sketch(one.union(two).union(three), &dice)
            #expect(merged(merged(a, b), c) == all, "seed \(seed)")
            #expect(merged(merged(a, b), c).stored == all.stored, "seed \(seed)")
        }
    }

    @Test func itIsSmallWhileFewAreInIt() {
        var sketch = UniqueSketch()
        #expect(sketch.stored.count == 7)
        for member in 0..<100_000 {
            if [1, 10, 1000, 1001, 4000, 20_000].contains(member) {
                let size = sketch.stored.count
                switch member {
                case 1, 10: #expect(size == 7 + 8 * member)
                case 1000: #expect(size == 8 + 8 * member)
                case 1001: #expect(size < 2100)
                case 4000: #expect(size < 7400)
                case _: #expect(size < 8400)
                }
            }
            sketch.insert(hash: Self.spread(UInt64(member)))
        }
        #expect(sketch.stored.count < 8400)
    }

    @Test func noEstimateTrapsOrLeavesTheRange() throws {
        for value: UInt8 in [0, 1, 25, 50, 51] {
            let registers = try #require(Registers(values: Array(repeating: value, count: Registers.count)))
            #expect(registers.estimate >= 0)
        }
        #expect(Registers(values: Array(repeating: 52, count: Registers.count)) == nil)
        #expect(Registers(values: []) == nil)
        // Every register as high as it goes.
        var sketch = UniqueSketch()
        for register in 0..<UInt64(Registers.count) { sketch.insert(hash: register << 50) }
        #expect(sketch.count == 1 << 62)
        #expect(try UniqueSketch(stored: sketch.stored) == sketch)
    }

    private func sketch(_ hashes: Set<UInt64>, _ dice: inout TestDice) -> UniqueSketch {
        var sketch = UniqueSketch()
        for hash in hashes.shuffled(using: &dice) { sketch.insert(hash: hash) }
        return sketch
    }

    private func merged(_ one: UniqueSketch, _ other: UniqueSketch) -> UniqueSketch {
        var merged = one
        merged.merge(other)
        return merged
    }

    /// A hash for each number.
    static func spread(_ number: UInt64) -> UInt64 {
        var dice = TestDice(seed: number)
        return dice.next()
    }
}
