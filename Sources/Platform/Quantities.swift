/// Times and sizes as people write them in settings, files and on the command line.
extension Duration {
    /// `500ms`, `30s`, `5m`, `12h`, `7d`: a whole number and one unit. Nil for anything else, and beyond 100 years.
    public init?(text: String) {
        guard let (number, unit) = split(text) else { return nil }
        let milliseconds: Int64? =
            switch unit {
            case "ms": 1
            case "s": 1000
            case "m": 60_000
            case "h": 3_600_000
            case "d": 86_400_000
            case _: nil
            }
        guard let milliseconds else { return nil }
        let (total, overflow) = number.multipliedReportingOverflow(by: milliseconds)
        guard !overflow, total <= 100 * 366 * 86_400_000 else { return nil }
        self = .milliseconds(total)
    }

    /// As `init(text:)` reads it, in the largest unit that needs no fraction.
    public var text: String {
        let (seconds, attoseconds) = components
        if attoseconds != 0 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
        for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)]
        where seconds != 0 && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }
}

/// A number of bytes as people write it.
public enum ByteCount {
    /// `1048576`, `1024KiB`, `1MiB`, `1GiB`; also KB, MB and GB, of 1000 each. Nil for anything else.
    public static func parse(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let size: Int64? =
            switch unit {
            case "", "B": 1
            case "KiB": 1 << 10
            case "MiB": 1 << 20
            case "GiB": 1 << 30
            case "KB", "kB": 1000
            case "MB": 1_000_000
            case "GB": 1_000_000_000
            case _: nil
            }
        guard let size else { return nil }
        let (total, overflow) = number.multipliedReportingOverflow(by: size)
        return overflow ? nil : Int(total)
    }

    /// In the largest unit that needs no fraction.
    public static func text(_ count: Int) -> String {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] where count != 0 && count % (1 << shift) == 0 {
            return "\(count >> shift)\(unit)"
        }
        return "\(count)"
    }
}

/// The digits that a text begins with, as a number, and the rest.
private func split(_ text: String) -> (number: Int64, unit: Substring)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard !digits.isEmpty, let number = Int64(digits) else { return nil }
    return (number, text.dropFirst(digits.count))
}
