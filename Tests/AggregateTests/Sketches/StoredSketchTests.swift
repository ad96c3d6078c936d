import TestSupport
import Testing

@testable import Aggregate

/// What the database gives back may be anything: cut short, changed, another column's, or written by somebody who knows
/// how the check is made. The first three are refused; the last must not trap.
@Suite struct StoredSketchTests {
    private func uniques(_ dice: inout TestDice) -> UniqueSketch {
        var sketch = UniqueSketch()
        let count = [0, 1, 5, 300, 1000, 1001, 3000, 30_000].randomElement(using: &dice) ?? 0
        for _ in 0..<count { sketch.insert(hash: dice.next()) }
        return sketch
    }

    private func quantiles(_ dice: inout TestDice) -> QuantileSketch {
        var sketch = QuantileSketch()
        let shape = QuantileSketchTests.Shape.allCases.randomElement(using: &dice) ?? .uniform
        for _ in 0..<([0, 1, 5, 300, 3000].randomElement(using: &dice) ?? 0) { sketch.insert(shape.value(&dice)) }
        return sketch
    }

    private func dimensions(_ dice: inout TestDice) -> CardinalityGuard {
        var kept = CardinalityGuard()
        let limits = CardinalityGuard.Limits(values: 50)
        for _ in 0..<([0, 1, 5, 300].randomElement(using: &dice) ?? 0) {
            _ = kept.admit("\(dice.next() % 80)", dimension: "d\(dice.next() % 5)", limits: limits)
        }
        return kept
    }

    @Test(arguments: TestDice.seeds(10)) func whatIsStoredIsReadAgainAndNothingElse(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let (one, two, three) = (uniques(&dice), quantiles(&dice), dimensions(&dice))
        #expect(try UniqueSketch(stored: one.stored) == one, "seed \(seed)")
        #expect(try QuantileSketch(stored: two.stored) == two, "seed \(seed)")
        #expect(try CardinalityGuard(stored: three.stored) == three, "seed \(seed)")

        for bytes in [one.stored, two.stored, three.stored] {
            let kinds = [
                (try? UniqueSketch(stored: bytes)) != nil, (try? QuantileSketch(stored: bytes)) != nil,
                (try? CardinalityGuard(stored: bytes)) != nil,
            ]
            #expect(kinds.count { $0 } == 1, "one kind's bytes are no other's; seed \(seed)")
            var lengths = Array(0..<min(40, bytes.count))
            for _ in 0..<40 { lengths.append(Int.random(in: 0..<bytes.count, using: &dice)) }
            for length in lengths { refused(Array(bytes[..<length]), seed) }
            for _ in 0..<40 {
                var changed = bytes
                changed[Int.random(in: 0..<bytes.count, using: &dice)] ^= UInt8.random(in: 1...255, using: &dice)
                refused(changed, seed)
            }
            refused(bytes + [0], seed)
        }
        for _ in 0..<200 {
            let count = Int.random(in: 0..<60, using: &dice)
            refused((0..<count).map { _ in UInt8.random(in: 0...255, using: &dice) }, seed)
        }
    }

    private func refused(_ bytes: [UInt8], _ seed: UInt64) {
        #expect(throws: SketchFault.damaged, "seed \(seed)") { try UniqueSketch(stored: bytes) }
        #expect(throws: SketchFault.damaged, "seed \(seed)") { try QuantileSketch(stored: bytes) }
        #expect(throws: SketchFault.damaged, "seed \(seed)") { try CardinalityGuard(stored: bytes) }
    }

    /// The check is right, all else is not. Some of it is a sketch after all: then it must work as one.
    @Test(arguments: TestDice.seeds(5)) func noForgeryTraps(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let samples = [uniques(&dice).stored, quantiles(&dice).stored, dimensions(&dice).stored]
        let sound = (uniques(&dice), quantiles(&dice))
        var accepted = 0
        for round in 0..<600 {
            var bytes: [UInt8]
            if round % 3 == 0 {
                bytes = (0..<Int.random(in: 0..<40, using: &dice)).map { _ in
                    // Small numbers get further.
                    dice.chance(60) ? UInt8.random(in: 0...3, using: &dice) : UInt8.random(in: 0...255, using: &dice)
                }
                bytes.insert(1, at: 0)
            } else {
                bytes = samples[Int.random(in: 0..<3, using: &dice)].dropLast(4)
                let near = min(bytes.count, dice.chance(70) ? 24 : bytes.count)
                for _ in 0..<Int.random(in: 1...3, using: &dice) {
                    bytes[Int.random(in: 1..<max(2, near), using: &dice)] = UInt8.random(in: 0...255, using: &dice)
                }
                if dice.chance(20) { bytes.removeLast(Int.random(in: 0..<bytes.count - 1, using: &dice)) }
            }
            if var sketch = try? UniqueSketch(stored: sealed(bytes, .uniques)) {
                sketch.merge(sound.0)
                sketch.insert(hash: dice.next())
                #expect(sketch.count > 0 && sketch.stored.count > 5, "seed \(seed)")
                accepted += 1
            }
            if var sketch = try? QuantileSketch(stored: sealed(bytes, .quantiles)) {
                sketch.merge(sound.1)
                sketch.insert(.zero)
                #expect(sketch.quantiles(percents: [0, 50, 100]).count == 3 && sketch.count > 0, "seed \(seed)")
                #expect(try QuantileSketch(stored: sketch.stored) == sketch, "seed \(seed)")
                accepted += 1
            }
            if var kept = try? CardinalityGuard(stored: sealed(bytes, .dimensions)) {
                _ = kept.admit("x", dimension: "y", limits: CardinalityGuard.Limits())
                #expect(try CardinalityGuard(stored: kept.stored) == kept, "seed \(seed)")
                accepted += 1
            }
        }
        #expect(accepted > 0, "none got beyond the check; seed \(seed)")
    }

    /// Two values, each there more often than can be counted: merged with itself it would tell another highest quantile.
    @Test func countsThatNobodyCanHaveCountedAreDamage() throws {
        let few: [UInt8] = [1, 2, 1, 2, 5, 1, 6]
        #expect(try QuantileSketch(stored: sealed(few, .quantiles)).count == 11)
        // 2 to the power of 62, as a number of nine bytes.
        let many = [UInt8](repeating: 0x80, count: 8) + [0x40]
        let (first, second) = (Array(few[..<4]), Array(few[5...]))
        #expect(throws: SketchFault.damaged) { try QuantileSketch(stored: sealed(first + many + second, .quantiles)) }
        #expect(throws: SketchFault.damaged) { try QuantileSketch(stored: sealed(few.dropLast() + many, .quantiles)) }
    }

    private func sealed(_ bytes: [UInt8], _ kind: SealedKind) -> [UInt8] {
        let check = UInt32(truncatingIfNeeded: StableHash.of(bytes.span, seed: kind.rawValue))
        return bytes + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: check >> $0) }
    }

    /// Rows of years ago are read by builds to come: these bytes are those of version 1 for good.
    @Test func theFormOfVersionOneStays() throws {
        var uniques = UniqueSketch()
        for member in ["b", "a"] { uniques.insert(member) }
        #expect(hex(uniques.stored) == "01000278452aa11af39f9bd24ec4f1a98c6e5b6e17688d")
        var quantiles = QuantileSketch()
        for text in ["19.99", "-1", "0", "20"] { quantiles.insert(try #require(Micros(text: text))) }
        #expect(hex(quantiles.stored) == "0103ff887ac0de810a01ac0401c205021c6db2cf")
        var kept = CardinalityGuard()
        _ = kept.admit("de", dimension: "country", limits: CardinalityGuard.Limits())
        #expect(hex(kept.stored) == "0101a2e6b07c10c7031901d054f5dd4302379efe4cf9f0")
    }

    @Test func aNewerVersionIsNamed() {
        let newer = sealed([2, 0, 0], .uniques)
        #expect(throws: SketchFault.version(2)) { try UniqueSketch(stored: newer) }
        #expect(SketchFault.version(2).description.contains("version 2"))
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
