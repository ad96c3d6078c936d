/// The formats that are checked; others are refused when a schema is read.
enum Format: String, CaseIterable, Sendable {
    /// RFC 3339, with an offset or Z.
    case dateTime = "date-time"
    case date
    case uuid
    /// Absolute, by RFC 3986: a scheme, and only characters that may be in one.
    case uri
    /// One `@`, something on both sides, no spaces: what is beyond that only sending a mail tells.
    case email

    var text: String {
        switch self {
        case .dateTime: "a date and time as 2026-05-04T03:02:01Z"
        case .date: "a date as 2026-05-04"
        case .uuid: "a UUID"
        case .uri: "an absolute URI"
        case .email: "a mail address"
        }
    }

    func accepts(_ text: borrowing Span<UInt8>) -> Bool {
        switch self {
        case .dateTime: Self.isDateTime(text)
        case .date: text.count == 10 && Self.isDate(text)
        case .uuid: Self.isUUID(text)
        case .uri: Self.isURI(text)
        case .email: Self.isEmail(text)
        }
    }

    /// The number that `count` digits from a place are; nil when they are not digits.
    private static func digits(_ text: borrowing Span<UInt8>, _ start: Int, _ count: Int) -> Int? {
        guard start + count <= text.count else { return nil }
        var value = 0
        for index in start..<start + count {
            guard isDigit(text[index]) else { return nil }
            value = value * 10 + Int(text[index] - UInt8(ascii: "0"))
        }
        return value
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// `2026-05-04` at the beginning.
    private static func isDate(_ text: borrowing Span<UInt8>) -> Bool {
        guard let year = digits(text, 0, 4), let month = digits(text, 5, 2), let day = digits(text, 8, 2),
            text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), (1...12).contains(month)
        else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
        return (1...days).contains(day)
    }

    private static func isDateTime(_ text: borrowing Span<UInt8>) -> Bool {
        guard text.count >= 20, isDate(text), text[10] | 0x20 == UInt8(ascii: "t"),
            let hour = digits(text, 11, 2), let minute = digits(text, 14, 2), let second = digits(text, 17, 2),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            // A leap second is a time.
            hour < 24, minute < 60, second < 61
        else { return false }
        var at = 19
        if text[at] == UInt8(ascii: ".") {
            at += 1
            let start = at
            while at < text.count, isDigit(text[at]) { at += 1 }
            if at == start { return false }
        }
        guard at < text.count else { return false }
        if text[at] | 0x20 == UInt8(ascii: "z") { return at + 1 == text.count }
        guard text[at] == UInt8(ascii: "+") || text[at] == UInt8(ascii: "-"), at + 6 == text.count,
            let hours = digits(text, at + 1, 2), let minutes = digits(text, at + 4, 2),
            text[at + 3] == UInt8(ascii: ":")
        else { return false }
        return hours < 24 && minutes < 60
    }

    private static func isUUID(_ text: borrowing Span<UInt8>) -> Bool {
        guard text.count == 36 else { return false }
        for index in text.indices {
            let byte = text[index]
            switch index {
            case 8, 13, 18, 23: if byte != UInt8(ascii: "-") { return false }
            case _:
                let isHex = isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
                if !isHex { return false }
            }
        }
        return true
    }

    private static func isURI(_ text: borrowing Span<UInt8>) -> Bool {
        guard text.count > 0, isLetter(text[0]) else { return false }
        var colon: Int?
        for index in text.indices {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: ":"): if colon == nil { colon = index }
            case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): break
            case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"),
                UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
                return false
            case _ where byte <= 0x20 || byte >= 0x7f: return false
            // Within the scheme only letters, digits and the three above.
            case _: if colon == nil, !isLetter(byte), !isDigit(byte) { return false }
            }
        }
        return colon.map { $0 + 1 < text.count } ?? false
    }

    private static func isEmail(_ text: borrowing Span<UInt8>) -> Bool {
        var at: Int?
        for index in text.indices {
            let byte = text[index]
            if byte <= 0x20 || byte == 0x7f { return false }
            if byte == UInt8(ascii: "@") {
                guard at == nil else { return false }
                at = index
            }
        }
        return at.map { $0 > 0 && $0 + 1 < text.count } ?? false
    }
}
