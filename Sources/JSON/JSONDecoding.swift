extension JSONDocument {
    /// The text as a value of a type: what the standard library's `Decodable` makes of it.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(JSONFault) -> Value {
        try root.decode(type)
    }
}

extension JSONValue {
    /// This value as a value of a type. A fault tells where it is, as a JSON pointer, and what was expected there.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(JSONFault) -> Value {
        do {
            return try Value(from: JSONValueDecoder(value: self, codingPath: []))
        } catch let error as DecodingError {
            throw JSONFault(error)
        } catch {
            throw JSONFault(.mismatch, "\(error)")
        }
    }
}

extension JSONFault {
    init(_ error: DecodingError) {
        let (context, reason): (DecodingError.Context, String) =
            switch error {
            case .keyNotFound(let key, let context): (context, "\(key.stringValue.debugDescription) is missing")
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                (context, context.debugDescription)
            @unknown default: (DecodingError.Context(codingPath: [], debugDescription: ""), "\(error)")
            }
        let path = context.codingPath.map { key in
            "/" + JSONPointer.escaped(key.intValue.map { "\($0)" } ?? key.stringValue)
        }
        self.init(.mismatch, path.isEmpty ? reason : "\(path.joined()): \(reason)")
    }
}

/// A place in an array.
struct IndexKey: CodingKey {
    let index: Int

    init(_ index: Int) { self.index = index }
    init?(intValue: Int) { index = intValue }
    init?(stringValue: String) { return nil }
    var intValue: Int? { index }
    var stringValue: String { "\(index)" }
}

/// The value that a type is made from, and where it is.
struct JSONValueDecoder: Decoder {
    let value: JSONValue
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard value.kind == .object else { throw mismatch("an object", [String: Any].self) }
        return KeyedDecodingContainer(KeyedValues<Key>(decoder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard value.kind == .array else { throw mismatch("an array", [Any].self) }
        return UnkeyedValues(decoder: self)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func mismatch(_ expected: String, _ type: any Any.Type) -> DecodingError {
        let found =
            switch value.kind {
            case .array: "an array"
            case .object: "an object"
            case .string: "a string"
            case .number: "the number \(value.numberText ?? "")"
            case .bool: "\(value.bool == true)"
            case .null: "null"
            }
        return .typeMismatch(
            type,
            DecodingError.Context(codingPath: codingPath, debugDescription: "expected \(expected), found \(found)"))
    }

    func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        if let number = value.int64.flatMap({ Number(exactly: $0) }) { return number }
        if let number = value.uint64.flatMap({ Number(exactly: $0) }) { return number }
        // 1.0 and 1e3 are whole numbers as well.
        if value.isDouble, let number = value.double.flatMap({ Number(exactly: $0) }) { return number }
        throw mismatch("a whole number from \(Number.min) to \(Number.max)", type)
    }

    func child(_ value: JSONValue, _ key: any CodingKey) -> JSONValueDecoder {
        JSONValueDecoder(value: value, codingPath: codingPath + [key])
    }
}

extension JSONValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { value.isNull }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard let flag = value.bool else { throw mismatch("true or false", type) }
        return flag
    }

    func decode(_ type: String.Type) throws -> String {
        guard let text = value.string else { throw mismatch("a string", type) }
        return text
    }

    func decode(_ type: Double.Type) throws -> Double {
        guard let number = value.double else { throw mismatch("a number", type) }
        return number
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try Value(from: self) }
}
