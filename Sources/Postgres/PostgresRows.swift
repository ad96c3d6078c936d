public import Platform

/// What a statement answered.
public struct PostgresRows: Sendable, RandomAccessCollection {
    public let columns: [String]
    /// How many rows the statement changed or gave.
    public let affected: Int
    /// What the server calls what it did: `COMMIT`, `UPDATE 3`.
    let tag: String
    /// Row by row; nil is null.
    private let cells: [String?]

    init(columns: [String], cells: [String?], affected: Int, tag: String) {
        self.columns = columns
        self.cells = cells
        self.affected = affected
        self.tag = tag
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { columns.isEmpty ? 0 : cells.count / columns.count }

    public subscript(index: Int) -> PostgresRow {
        precondition(indices.contains(index), "there are \(count) rows, and number \(index) was asked for")
        return PostgresRow(columns: columns, cells: cells[index * columns.count..<(index + 1) * columns.count])
    }
}

/// One row: its cells, by name or by number.
public struct PostgresRow: Sendable {
    let columns: [String]
    let cells: ArraySlice<String?>

    /// A cell that may not be null. Throws when there is none of that name, or when it is none of that type.
    public func value<Value: SQLReadable>(_ column: String, as type: Value.Type = Value.self) throws(PostgresFault)
        -> Value
    {
        guard let value = try optional(column, as: type) else {
            throw PostgresFault(.data, "the column \(column) is null")
        }
        return value
    }

    /// A cell that may be null.
    public func optional<Value: SQLReadable>(
        _ column: String, as type: Value.Type = Value.self
    ) throws(PostgresFault) -> Value? {
        guard let index = columns.firstIndex(of: column) else {
            throw PostgresFault(
                .statement, "there is no column \(column); there are \(columns.joined(separator: ", "))")
        }
        guard let text = cells[cells.startIndex + index] else { return nil }
        guard let value = Value(sqlText: text) else {
            throw PostgresFault(.data, "the column \(column) is no \(type)")
        }
        return value
    }
}

/// What can be read from a cell: from the text that Postgres writes.
public protocol SQLReadable {
    init?(sqlText: String)
}

extension String: SQLReadable {
    public init?(sqlText: String) { self = sqlText }
}
extension Int: SQLReadable {
    public init?(sqlText: String) { self.init(sqlText) }
}
extension Int64: SQLReadable {
    public init?(sqlText: String) { self.init(sqlText) }
}
extension Int32: SQLReadable {
    public init?(sqlText: String) { self.init(sqlText) }
}
extension Double: SQLReadable {
    public init?(sqlText: String) { self.init(sqlText) }
}
extension Bool: SQLReadable {
    public init?(sqlText: String) {
        switch sqlText {
        case "t": self = true
        case "f": self = false
        case _: return nil
        }
    }
}
extension Timestamp: SQLReadable {
    /// A `timestamptz`; our connections speak UTC.
    public init?(sqlText: String) {
        self.init(text: sqlText.hasSuffix("+00") ? sqlText.dropLast(3) + "Z" : sqlText)
    }
}
extension UUIDValue: SQLReadable {
    public init?(sqlText: String) { self.init(text: sqlText) }
}
extension [UInt8]: SQLReadable {
    /// A `bytea`.
    public init?(sqlText: String) {
        guard sqlText.hasPrefix("\\x"), let bytes = Hex.bytes(sqlText.dropFirst(2).utf8) else { return nil }
        self = bytes
    }
}
