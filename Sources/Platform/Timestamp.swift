/// Milliseconds since 1970 that print as RFC 3339 in UTC.
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// `2026-05-04T03:02:01.000Z`
    public var description: String {
        let parts = Self.floored(milliseconds, by: Self.day)
        let (year, month, day) = Self.date(daysSince1970: parts.quotient)
        // What needs more digits is no time that anybody means.
        guard (0...9999).contains(year) else {
            return "\(year)-\(Self.padded(month))-\(Self.padded(day))T\(clockTime)Z"
        }
        // Every event has two or three of them, so they are written with no string in between.
        return unsafe String(unsafeUninitializedCapacity: 24) { buffer in
            var text = unsafe DigitWriter(buffer: buffer)
            text.write(year, digits: 4)
            text.write("-", month)
            text.write("-", day)
            text.write("T", parts.remainder / 3_600_000)
            text.write(":", parts.remainder / 60_000 % 60)
            text.write(":", parts.remainder / 1000 % 60)
            text.write(".", parts.remainder % 1000, digits: 3)
            text.write("Z")
            return text.count
        }
    }

    @safe private struct DigitWriter {
        let buffer: UnsafeMutableBufferPointer<UInt8>
        var count = 0

        init(buffer: UnsafeMutableBufferPointer<UInt8>) { unsafe self.buffer = buffer }

        mutating func write(_ mark: Unicode.Scalar) {
            unsafe buffer[count] = UInt8(truncatingIfNeeded: mark.value)
            count += 1
        }

        mutating func write(_ number: Int64, digits: Int = 2) {
            // Small and never negative, so that the division is a short one.
            var (rest, place) = (UInt32(truncatingIfNeeded: number), count + digits)
            while place > count {
                place -= 1
                unsafe buffer[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
            count += digits
        }

        mutating func write(_ mark: Unicode.Scalar, _ number: Int64, digits: Int = 2) {
            write(mark)
            write(number, digits: digits)
        }
    }

    /// `03:02:01.000`, in UTC.
    public var clockTime: String {
        let rest = Self.floored(milliseconds, by: Self.day).remainder
        return "\(Self.padded(rest / 3_600_000)):\(Self.padded(rest / 60_000 % 60))"
            + ":\(Self.padded(rest / 1000 % 60)).\(Self.padded(rest % 1000, 3))"
    }

    private static let day: Int64 = 86_400_000

    /// The Gregorian date. Years are counted from March, so that the leap day ends one; 400 of them are 146 097 days.
    private static func date(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floored(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floored(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func padded(_ number: Int64, _ width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
