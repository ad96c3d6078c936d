public import Platform

/// A statement with its values: `"UPDATE totals SET sum = sum + \(amount) WHERE key = \(key)"`.
///
/// What is interpolated becomes a parameter, never text, so it can be anything. Statements of the same text are
/// prepared once for each connection; many rows go in one statement by arrays: `unnest(\(keys)::text[])`.
public struct SQL: Sendable, ExpressibleByStringInterpolation {
    /// With `$1`, `$2` … for the values.
    public private(set) var text: String
    private(set) var values: [SQLValue] = []
    /// Where in the text's bytes the `$` of each value is.
    private var places: [Int] = []

    public init(stringLiteral text: String) { self.text = text }

    public init(stringInterpolation: Interpolation) {
        text = stringInterpolation.text
        values = stringInterpolation.values
        places = stringInterpolation.places
    }

    public struct Interpolation: StringInterpolationProtocol {
        var text = ""
        var values: [SQLValue] = []
        var places: [Int] = []

        public init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + 3 * interpolationCount)
            values.reserveCapacity(interpolationCount)
        }

        public mutating func appendLiteral(_ literal: String) { text += literal }

        public mutating func appendInterpolation(_ value: some SQLConvertible) { add(value.sqlValue) }

        public mutating func appendInterpolation(_ value: (some SQLConvertible)?) { add(value?.sqlValue ?? .null) }

        /// An array; the statement says of what: `\(keys)::text[]`.
        public mutating func appendInterpolation(_ values: [some SQLConvertible]) {
            add(.array(values.lazy.map(\.sqlValue)))
        }

        /// An array with nulls in it.
        public mutating func appendInterpolation(_ values: [(some SQLConvertible)?]) {
            add(.array(values.lazy.map { $0?.sqlValue ?? .null }))
        }

        /// A `bytea`.
        public mutating func appendInterpolation(bytes: [UInt8]?) {
            add(bytes.map { .bytes($0) } ?? .null)
        }

        /// A name: of a table, of a schema.
        public mutating func appendInterpolation(identifier: String) {
            text += Self.quoted(identifier)
        }

        /// A part of a statement with values of its own, which are numbered anew here. What else has a dollar in it, as a
        /// quoted text or a function's body, stays as it is.
        public mutating func appendInterpolation(_ part: SQL) {
            var rest = part.text.utf8[...]
            var passed = 0
            for (index, place) in part.places.enumerated() {
                let dollar = rest.index(rest.startIndex, offsetBy: place - passed)
                text += String(Substring(rest[..<dollar]))
                add(part.values[index])
                let marker = 1 + String(index + 1).utf8.count
                rest = rest[rest.index(dollar, offsetBy: marker)...]
                passed = place + marker
            }
            text += String(Substring(rest))
        }

        static func quoted(_ identifier: String) -> String {
            "\"" + identifier.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
        }

        private mutating func add(_ value: SQLValue) {
            values.append(value)
            places.append(text.utf8.count)
            text += "$\(values.count)"
        }
    }
}

/// A value on its way to Postgres.
public enum SQLValue: Sendable, Hashable {
    case null
    /// As Postgres reads it; the server knows what type it has to be.
    case text(String)
    case bytes([UInt8])

    /// An array's own notation.
    static func array(_ values: some Sequence<SQLValue>) -> SQLValue {
        var text = "{"
        var isFirst = true
        for value in values {
            if !isFirst { text += "," }
            isFirst = false
            switch value {
            case .null: text += "NULL"
            case .text(let element): appendQuoted(element, to: &text)
            case .bytes(let bytes): appendQuoted("\\x" + Hex.text(bytes), to: &text)
            }
        }
        return .text(text + "}")
    }

    private static func appendQuoted(_ element: String, to text: inout String) {
        let isPlain = !element.isEmpty && element.utf8.allSatisfy { isDigit($0) || $0 == UInt8(ascii: "-") }
        if isPlain {
            text += element
            return
        }
        text += "\""
        for character in element.unicodeScalars {
            if character == "\"" || character == "\\" { text += "\\" }
            text.unicodeScalars.append(character)
        }
        text += "\""
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}

/// What can be a value of a statement.
public protocol SQLConvertible {
    var sqlValue: SQLValue { get }
}

extension SQLValue: SQLConvertible {
    public var sqlValue: SQLValue { self }
}
extension String: SQLConvertible {
    public var sqlValue: SQLValue { .text(self) }
}
extension Substring: SQLConvertible {
    public var sqlValue: SQLValue { .text(String(self)) }
}
extension Int: SQLConvertible {
    public var sqlValue: SQLValue { .text(String(self)) }
}
extension Int64: SQLConvertible {
    public var sqlValue: SQLValue { .text(String(self)) }
}
extension Int32: SQLConvertible {
    public var sqlValue: SQLValue { .text(String(self)) }
}
extension Double: SQLConvertible {
    public var sqlValue: SQLValue {
        .text(isNaN ? "NaN" : isInfinite ? (self < 0 ? "-Infinity" : "Infinity") : String(self))
    }
}
extension Bool: SQLConvertible {
    public var sqlValue: SQLValue { .text(self ? "t" : "f") }
}
extension Timestamp: SQLConvertible {
    public var sqlValue: SQLValue { .text(description) }
}
extension UUIDValue: SQLConvertible {
    public var sqlValue: SQLValue { .text(description) }
}
