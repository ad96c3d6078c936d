// A value read as JSON. The envelope is in `Event` itself.
extension Event {
    /// The value as JSON. Parsed anew at every call, so keep it; what is no JSON throws, and left uncaught
    /// makes the event a dead letter at once.
    public func json() throws(JSONFault) -> JSONValue {
        try JSONDocument(parsing: bytes).root
    }

    /// The value as a type of one's own.
    public func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try json().decode(type)
    }
}
