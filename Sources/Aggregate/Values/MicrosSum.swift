package import JSON

/// A sum of decimals, exact.
///
/// The bound: what is summed is below 10^18 units in size, and nobody counts more than 2^63 values, so a sum is below
/// 10^37 units, which 128 bits hold with a factor of 17 to spare. Adding a value therefore needs no check. What comes
/// from outside (a stored sum) is checked against the bound when it is read, and what is added up from such sums stops
/// at it instead of trapping. In Postgres a sum fits `numeric(38, 6)`.
package struct MicrosSum: Hashable, Sendable, Comparable, CustomStringConvertible {
    package private(set) var units: Int128

    package static let zero = MicrosSum()
    /// What the units are below of, signs aside: 10^37.
    package static let unitLimit: Int128 = 10_000_000_000_000_000_000_000_000_000_000_000_000

    package init() { units = 0 }

    package init(_ value: Micros) { units = Int128(value.units) }

    /// Nil beyond the bound.
    package init?(units: Int128) {
        guard units > -Self.unitLimit, units < Self.unitLimit else { return nil }
        self.units = units
    }

    /// Reads what `description` writes, and the zeros that a `numeric` of Postgres has behind it; nil otherwise.
    package init?(text: String) {
        var digits = text.utf8[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits = digits.dropFirst() }
        let parts = digits.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : "0".utf8[...]
        guard let whole = parts.first, (1...31).contains(whole.count),
            (1...Micros.fractionDigits).contains(fraction.count)
        else { return nil }
        var units: Int128 = 0
        // At most 37 digits.
        for digit in [Array(whole), Array(fraction)].joined() {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            units = units * 10 + Int128(digit - UInt8(ascii: "0"))
        }
        for _ in fraction.count..<Micros.fractionDigits { units *= 10 }
        self.init(units: isNegative ? -units : units)
    }

    package static func += (sum: inout MicrosSum, value: Micros) { sum.add(Int128(value.units)) }

    package static func += (sum: inout MicrosSum, other: MicrosSum) { sum.add(other.units) }

    /// Both are below 10^37 in size, so this cannot overflow 128 bits.
    private mutating func add(_ more: Int128) {
        units = min(max(units + more, 1 - Self.unitLimit), Self.unitLimit - 1)
    }

    package static func < (left: MicrosSum, right: MicrosSum) -> Bool { left.units < right.units }

    /// The one text of this number, which is also JSON: `-12.5`, `3`, `0.000001`.
    package var description: String {
        let size = units.magnitude
        let (whole, fraction) = size.quotientAndRemainder(dividingBy: 1_000_000)
        var text = units < 0 ? "-\(whole)" : "\(whole)"
        guard fraction != 0 else { return text }
        // A digit in front keeps the zeros that the fraction begins with.
        var digits = String(1_000_000 + fraction).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        text += "."
        text += digits
        return text
    }
}

extension JSONWriter {
    package mutating func append(_ sum: MicrosSum) { append(json: sum.description.utf8) }
}
