/// A number exactly as it was written: `coefficient` × 10^`exponent`, with trailing zeros of the coefficient taken off.
package struct JSONDecimal: Hashable, Sendable {
    package let isNegative: Bool
    /// At most 38 digits.
    package let coefficient: UInt128
    package let exponent: Int

    package init(isNegative: Bool = false, coefficient: UInt128, exponent: Int = 0) {
        var (coefficient, exponent) = (coefficient, exponent)
        while coefficient != 0, coefficient % 10 == 0 {
            coefficient /= 10
            exponent += 1
        }
        self.isNegative = isNegative && coefficient != 0
        self.coefficient = coefficient
        self.exponent = coefficient == 0 ? 0 : exponent
    }

    /// A number of JSON's grammar; nil when it has more than 38 significant digits or is no number.
    package init?(token: borrowing Span<UInt8>) {
        var at = 0
        let isNegative = token.count > 0 && token[0] == UInt8(ascii: "-")
        if isNegative { at = 1 }
        var (coefficient, exponent, zeros, digits): (UInt128, Int, Int, Int) = (0, 0, 0, 0)
        var isFraction = false
        while at < token.count {
            switch token[at] {
            case UInt8(ascii: "0"):
                // Kept back until a digit follows, so that `1.500000…` of any length is 1.5.
                zeros += 1
            case UInt8(ascii: "1")...UInt8(ascii: "9"):
                if coefficient == 0 { zeros = 0 }
                digits += zeros + 1
                guard digits <= 38 else { return nil }
                for _ in 0..<zeros { coefficient *= 10 }
                coefficient = coefficient * 10 + UInt128(token[at] - UInt8(ascii: "0"))
                zeros = 0
            case UInt8(ascii: "."):
                isFraction = true
                at += 1
                continue
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let written = Self.exponent(of: token, from: at + 1) else { return nil }
                exponent += written
                at = token.count
                continue
            case _: return nil
            }
            if isFraction { exponent -= 1 }
            at += 1
        }
        self.init(isNegative: isNegative, coefficient: coefficient, exponent: exponent + zeros)
    }

    private static func exponent(of token: borrowing Span<UInt8>, from start: Int) -> Int? {
        var (at, isNegative, value) = (start, false, 0)
        if at < token.count, token[at] == UInt8(ascii: "-") || token[at] == UInt8(ascii: "+") {
            isNegative = token[at] == UInt8(ascii: "-")
            at += 1
        }
        guard at < token.count else { return nil }
        while at < token.count {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(token[at]) else { return nil }
            // No double has more; the number beside it may have many leading zeros.
            guard value < 1_000_000 else { return nil }
            value = value * 10 + Int(token[at] - UInt8(ascii: "0"))
            at += 1
        }
        return isNegative ? -value : value
    }

    /// As a whole number of units of 10^-`fractionDigits`; nil when it is none or does not fit.
    package func units(fractionDigits: Int) -> Int64? {
        guard coefficient != 0 else { return 0 }
        let shift = exponent + fractionDigits
        guard shift >= 0, shift <= 38 else { return nil }
        var units = coefficient
        for _ in 0..<shift {
            guard units <= UInt128(Int64.max) else { return nil }
            units *= 10
        }
        return Int64(exactly: isNegative ? -Int128(clamping: units) : Int128(clamping: units))
    }

    /// Whether this is a whole multiple of `divisor`, which has at most 18 digits and is not zero.
    package func isMultiple(of divisor: JSONDecimal) -> Bool {
        guard coefficient != 0 else { return true }
        guard divisor.coefficient != 0, divisor.coefficient < 1_000_000_000_000_000_000 else { return false }
        // Otherwise a power of ten would have to divide the coefficient, which has none.
        guard exponent >= divisor.exponent else { return false }
        // (coefficient × 10^shift) mod divisor; each factor stays below 10^19.
        var rest = coefficient % divisor.coefficient
        for _ in 0..<min(exponent - divisor.exponent, 2000) where rest != 0 {
            rest = rest * 10 % divisor.coefficient
        }
        return rest == 0
    }
}

extension JSONDecimal: Comparable {
    package static func < (left: JSONDecimal, right: JSONDecimal) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        let isLess = left.isNegative ? magnitude(right, left) : magnitude(left, right)
        return isLess
    }

    /// Whether `left` is the smaller, signs aside.
    private static func magnitude(_ left: JSONDecimal, _ right: JSONDecimal) -> Bool {
        if left.coefficient == 0 || right.coefficient == 0 { return left.coefficient < right.coefficient }
        let (leftDigits, rightDigits) = (digits(left.coefficient), digits(right.coefficient))
        let (leftSize, rightSize) = (leftDigits + left.exponent, rightDigits + right.exponent)
        if leftSize != rightSize { return leftSize < rightSize }
        // As many digits before the point: as fractions of the same length they compare as they are.
        var (one, other) = (left.coefficient, right.coefficient)
        for _ in 0..<max(0, rightDigits - leftDigits) { one *= 10 }
        for _ in 0..<max(0, leftDigits - rightDigits) { other *= 10 }
        return one < other
    }

    private static func digits(_ number: UInt128) -> Int {
        var (count, rest) = (0, number)
        while rest != 0 {
            rest /= 10
            count += 1
        }
        return count
    }
}

extension JSONValue {
    /// A number in units of 10^-`fractionDigits`, exactly: `12.5` with 6 is 12 500 000. Nil when it has more fraction
    /// digits than that (zeros at the end do not count), does not fit, or is no number.
    public func decimal(fractionDigits: Int) -> Int64? {
        if let whole = int64 {
            var units = whole
            for _ in 0..<fractionDigits where units != 0 {
                let (more, overflow) = units.multipliedReportingOverflow(by: 10)
                if overflow { return nil }
                units = more
            }
            return units
        }
        return exactNumber?.units(fractionDigits: fractionDigits)
    }

    /// A number as it was written; nil when it has more than 38 significant digits, or is none.
    package var exactNumber: JSONDecimal? {
        if let whole = int64 { return JSONDecimal(isNegative: whole < 0, coefficient: UInt128(whole.magnitude)) }
        if let whole = uint64 { return JSONDecimal(coefficient: UInt128(whole)) }
        guard isDouble else { return nil }
        return withSource { source in
            JSONDecimal(token: Span<UInt8>(_bytes: copy source))
        }
    }

    /// A number in the very digits of the text; nil for other kinds.
    public var numberText: String? {
        guard kind == .number else { return nil }
        return withSource { source in unsafe source.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
    }
}
