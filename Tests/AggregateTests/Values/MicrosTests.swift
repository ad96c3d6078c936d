import JSON
import TestSupport
import Testing

@testable import Aggregate

@Suite struct MicrosTests {
    @Test(arguments: [
        ("0", 0, "0"), ("-0", 0, "0"), ("-0.0", 0, "0"), ("1", 1_000_000, "1"), ("-12.5", -12_500_000, "-12.5"),
        ("0.1", 100_000, "0.1"), ("0.000001", 1, "0.000001"), ("-0.000001", -1, "-0.000001"),
        ("1.500000000000000000000000000000000", 1_500_000, "1.5"), ("1e3", 1_000_000_000, "1000"),
        ("1.25E-4", 125, "0.000125"), ("12000e-3", 12_000_000, "12"), ("1e-6", 1, "0.000001"),
        ("999999999999.999999", 999_999_999_999_999_999, "999999999999.999999"),
        ("-999999999999.999999", -999_999_999_999_999_999, "-999999999999.999999"), ("0e300", 0, "0"),
    ]) func numbersAreReadExactlyAndWrittenOneWay(text: String, units: Int, written: String) throws {
        let value = try #require(Micros(text: text))
        #expect(value.units == Int64(units))
        #expect(value.description == written)
        var json = JSONWriter()
        json.append(value)
        #expect(json.text == written)
    }

    @Test(arguments: [
        "0.0000001", "1e-7", "1.2345678", "1e12", "1000000000000", "-1000000000000", "999999999999.9999999", "1e308",
        "9223372036854775807", "9223372036854775808", "18446744073709551615", "1e400", "-1e-400", "", " ", "-", "+1",
        "01", "1.", ".5", "0x10", "NaN", "Infinity", "1e", "1 ", " 1", "\n1", "1\u{0}", "1,5", "\"1\"", "[1]", "true",
        "null", "1 2", "１", "1e999999999999999999", "0.1e99999999999999999999",
        "1.00000000000000000000000000000000000000000000000000000001",
    ]) func whatIsNoneIsRefused(text: String) {
        #expect(Micros(text: text) == nil)
    }

    @Test func theLimitsAreThoseOfUnitsToo() {
        #expect(Micros(units: 999_999_999_999_999_999) != nil)
        for units in [Int64.min, -Micros.unitLimit, Micros.unitLimit, .max] { #expect(Micros(units: units) == nil) }
    }

    @Test func aDocumentsNumberIsReadAndNothingElse() throws {
        let document = try JSONDocument(parsing: #"{"a":19.99,"b":"19.99","c":null,"d":[1],"e":19}"#)
        #expect(document.root["a"].flatMap(Micros.init)?.units == 19_990_000)
        #expect(document.root["e"].flatMap(Micros.init)?.units == 19_000_000)
        for name in ["b", "c", "d"] { #expect(document.root[name].flatMap { Micros($0) } == nil) }
    }

    @Test(arguments: TestDice.seeds(3)) func whatIsWrittenIsReadAgain(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for _ in 0..<2000 {
            let bound = Int64.random(in: 1..<Micros.unitLimit, using: &dice) >> Int64.random(in: 0..<60, using: &dice)
            let value = try #require(Micros(units: Int64.random(in: -bound...bound, using: &dice)))
            #expect(Micros(text: value.description) == value, "seed \(seed)")
            #expect(MicrosSum(text: value.description) == MicrosSum(value), "seed \(seed)")
        }
    }

    @Test func aTenthTenTimesIsOne() throws {
        var sum = MicrosSum()
        for _ in 0..<10 { sum += try #require(Micros(text: "0.1")) }
        #expect(sum.description == "1")
    }
}

@Suite struct MicrosSumTests {
    private let largest = Micros(unchecked: Micros.unitLimit - 1)

    @Test func itHoldsWhatSixtyFourBitsDoNot() {
        var sum = MicrosSum()
        for _ in 0..<1000 { sum += largest }
        #expect(sum.description == "999999999999999.999")
        #expect(MicrosSum(text: sum.description) == sum)
        for _ in 0..<2000 { sum += Micros(unchecked: -largest.units) }
        #expect(sum.description == "-999999999999999.999")
    }

    /// As many values as anyone can count, doubling by doubling.
    @Test func itHoldsTwoToTheSixtyThirdOfTheLargest() {
        for value in [largest, Micros(unchecked: -largest.units)] {
            var sum = MicrosSum(value)
            for _ in 0..<63 { sum += sum }
            #expect(sum.units == Int128(value.units) << 63)
        }
    }

    @Test func itStopsAtItsBoundInsteadOfTrapping() throws {
        var sum = try #require(MicrosSum(units: MicrosSum.unitLimit - 1))
        sum += sum
        sum += largest
        #expect(sum.units == MicrosSum.unitLimit - 1)
        var debt = try #require(MicrosSum(units: 1 - MicrosSum.unitLimit))
        debt += debt
        #expect(debt.units == 1 - MicrosSum.unitLimit)
        #expect(MicrosSum(units: MicrosSum.unitLimit) == nil)
        #expect(MicrosSum(units: .min) == nil)
        #expect(MicrosSum(text: sum.description) == sum)
    }

    @Test func aNumericOfPostgresIsRead() {
        #expect(MicrosSum(text: "12.500000")?.units == 12_500_000)
        #expect(MicrosSum(text: "-0.000001")?.units == -1)
        #expect(MicrosSum(text: "0")?.units == 0)
        for text in [
            "", "-", ".", "1.", ".1", "1.0000000", "1e3", "NaN", "--1", "1.-1", "1.2.3", " 1", "+1", "１",
            String(repeating: "9", count: 32),
        ] { #expect(MicrosSum(text: text) == nil) }
    }

    @Test(arguments: TestDice.seeds(3)) func theOrderOfAddingDoesNotMatter(seed: UInt64) {
        var dice = TestDice(seed: seed)
        let values = (0..<500).map { _ in
            Micros(unchecked: Int64.random(in: -largest.units...largest.units, using: &dice))
        }
        var (forwards, shuffled, parts) = (MicrosSum(), MicrosSum(), [MicrosSum](repeating: .zero, count: 7))
        for value in values { forwards += value }
        for value in values.shuffled(using: &dice) {
            shuffled += value
            parts[Int.random(in: 0..<7, using: &dice)] += value
        }
        var merged = MicrosSum()
        for part in parts { merged += part }
        #expect(forwards == shuffled && forwards == merged, "seed \(seed)")
        #expect(forwards.units == values.reduce(Int128(0)) { $0 + Int128($1.units) }, "seed \(seed)")
    }
}
