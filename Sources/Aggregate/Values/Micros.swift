package import JSON

/// A decimal as events carry it: at most six digits behind the point, below 10^12 in size. It is kept in millionths, and
/// no `Double` ever touches it: 0.1 added ten times is 1.
package struct Micros: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Below 10^18 in size, so that two can be added and a sign be turned without a check.
    package let units: Int64

    package static let zero = Micros(unchecked: 0)
    package static let fractionDigits = 6
    /// What the units are below of, signs aside.
    package static let unitLimit: Int64 = 1_000_000_000_000_000_000

    /// Nil beyond the limit.
    package init?(units: Int64) {
        guard units > -Self.unitLimit, units < Self.unitLimit else { return nil }
        self.init(unchecked: units)
    }

    init(unchecked units: Int64) { self.units = units }

    /// A number of a document, exactly as it is written there: `1e3`, `1000` and `1000.000` are the same. Nil when it has
    /// more fraction digits than six (zeros at the end do not count), is too large, or is no number.
    package init?(_ value: JSONValue) {
        guard let units = value.decimal(fractionDigits: Self.fractionDigits) else { return nil }
        self.init(units: units)
    }

    /// A number in JSON's grammar and nothing around it; nil as above.
    package init?(text: String) {
        // JSON allows white space around a value, which is no part of a number.
        guard let first = text.utf8.first, let last = text.utf8.last, first > UInt8(ascii: " "),
            last > UInt8(ascii: " "), let document = try? JSONDocument(parsing: text, limit: 4096)
        else { return nil }
        self.init(document.root)
    }

    package static func < (left: Micros, right: Micros) -> Bool { left.units < right.units }

    /// The one text of this number, which is also JSON: `-12.5`, `3`, `0.000001`.
    package var description: String { MicrosSum(self).description }
}

extension JSONWriter {
    package mutating func append(_ value: Micros) { append(value.units, fractionDigits: Micros.fractionDigits) }
}
