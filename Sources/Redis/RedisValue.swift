/// What Redis answers.
public enum RedisValue: Hashable, Sendable {
    case null
    case integer(Int64)
    /// A status, as `OK`.
    case status(String)
    case bytes([UInt8])
    case array([RedisValue])
    /// An error inside of an array; an answer that is one is thrown.
    case error(String)

    public var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    public var bytes: [UInt8]? {
        if case .bytes(let value) = self { value } else { nil }
    }

    public var array: [RedisValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// A status or a string of UTF-8.
    public var text: String? {
        switch self {
        case .status(let text): text
        case .bytes(let bytes): String(validating: bytes, as: UTF8.self)
        case .null, .integer, .array, .error: nil
        }
    }
}

/// A command with its arguments, which may be any bytes; all of them lie in one buffer.
public struct RedisCommand: Sendable {
    var bytes: [UInt8] = []
    var lengths: [Int] = []

    public init(_ words: String...) {
        for word in words { add(word) }
    }

    public mutating func reserve(arguments: Int, bytes count: Int) {
        lengths.reserveCapacity(lengths.count + arguments)
        bytes.reserveCapacity(bytes.count + count)
    }

    public mutating func add(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        lengths.append(text.utf8.count)
    }

    public mutating func add(_ number: some BinaryInteger) { add("\(number)") }

    public mutating func add(_ argument: [UInt8]) {
        bytes.append(contentsOf: argument)
        lengths.append(argument.count)
    }
}
