extension JSONWriter {
    /// A value of any `Encodable` type.
    ///
    /// It is built up as a tree first, because a type may write its members in any order, and several containers at
    /// once. Where that matters, write by hand.
    public mutating func encode(_ value: some Encodable) throws {
        let node = EncodedNode()
        try value.encode(to: JSONValueEncoder(node: node, codingPath: []))
        try node.write(to: &self)
    }
}

extension Encodable {
    /// This value as JSON.
    public func jsonBytes() throws -> [UInt8] {
        var writer = JSONWriter()
        try writer.encode(self)
        return writer.bytes
    }
}

/// A value that is being encoded. A class, because containers go on writing into it while others are open.
final class EncodedNode {
    var content = Content.nothing
    /// Where in an object each name is.
    private var places: [String: Int] = [:]

    enum Content {
        /// Nothing was written: an empty object, as the standard library's encoders take it.
        case nothing
        case null
        case bool(Bool)
        case integer(Int128)
        case double(Double)
        case string(String)
        case array([EncodedNode])
        case object([(name: String, node: EncodedNode)])
    }

    func write(to writer: inout JSONWriter) throws {
        switch content {
        case .nothing: writer.object { _ in }
        case .null: writer.appendNull()
        case .bool(let flag): writer.append(flag)
        case .integer(let number): writer.append(number)
        case .double(let number): writer.append(number)
        case .string(let text): writer.append(text)
        case .array(let nodes): try writer.array { writer in for node in nodes { try node.write(to: &writer) } }
        case .object(let members):
            try writer.object { writer in
                for member in members {
                    writer.name(member.name)
                    try member.node.write(to: &writer)
                }
            }
        }
    }

    func element() -> EncodedNode {
        guard case .array(var nodes) = content else { return EncodedNode() }
        let node = EncodedNode()
        // Taken out before it is changed, so that nothing is copied.
        content = .nothing
        nodes.append(node)
        content = .array(nodes)
        return node
    }

    func member(_ name: String) -> EncodedNode {
        // A type may come back to a member: to a container of several levels, or to write it anew.
        guard case .object(var members) = content else { return EncodedNode() }
        if let place = places[name] { return members[place].node }
        content = .nothing
        let node = EncodedNode()
        places[name] = members.count
        members.append((name, node))
        content = .object(members)
        return node
    }
}

struct JSONValueEncoder: Encoder {
    let node: EncodedNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .object = node.content {} else { node.content = .object([]) }
        return KeyedEncodingContainer(KeyedNodes<Key>(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .array = node.content {} else { node.content = .array([]) }
        return UnkeyedNodes(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func child(_ node: EncodedNode, _ key: any CodingKey) -> JSONValueEncoder {
        JSONValueEncoder(node: node, codingPath: codingPath + [key])
    }
}

extension JSONValueEncoder: SingleValueEncodingContainer {
    func encodeNil() { node.content = .null }
    func encode(_ value: Bool) { node.content = .bool(value) }
    func encode(_ value: String) { node.content = .string(value) }

    func encode(_ value: Double) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value, EncodingError.Context(codingPath: codingPath, debugDescription: "JSON has no \(value)"))
        }
        node.content = .double(value)
    }

    func encode(_ value: Float) throws {
        // By its own shortest text: as a double 0.1 would become 0.10000000149011612.
        try encode(Double(value.description) ?? Double(value))
    }

    func encode(_ value: Int) { node.content = .integer(Int128(value)) }
    func encode(_ value: Int8) { node.content = .integer(Int128(value)) }
    func encode(_ value: Int16) { node.content = .integer(Int128(value)) }
    func encode(_ value: Int32) { node.content = .integer(Int128(value)) }
    func encode(_ value: Int64) { node.content = .integer(Int128(value)) }
    func encode(_ value: UInt) { node.content = .integer(Int128(value)) }
    func encode(_ value: UInt8) { node.content = .integer(Int128(value)) }
    func encode(_ value: UInt16) { node.content = .integer(Int128(value)) }
    func encode(_ value: UInt32) { node.content = .integer(Int128(value)) }
    func encode(_ value: UInt64) { node.content = .integer(Int128(value)) }
    func encode(_ value: some Encodable) throws { try value.encode(to: self) }
}

struct KeyedNodes<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: JSONValueEncoder

    var codingPath: [any CodingKey] { encoder.codingPath }

    private func member(_ key: some CodingKey) -> JSONValueEncoder {
        encoder.child(encoder.node.member(key.stringValue), key)
    }

    func encodeNil(forKey key: Key) { member(key).encodeNil() }
    func encode(_ value: Bool, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: String, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: Double, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Float, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Int, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: Int8, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: Int16, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: Int32, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: Int64, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: UInt, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: UInt8, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: UInt16, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: UInt32, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: UInt64, forKey key: Key) { member(key).encode(value) }
    func encode(_ value: some Encodable, forKey key: Key) throws { try value.encode(to: member(key)) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { member(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { member(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { member(SuperKey()) }
    func superEncoder(forKey key: Key) -> any Encoder { member(key) }
}

struct UnkeyedNodes: UnkeyedEncodingContainer {
    let encoder: JSONValueEncoder

    var codingPath: [any CodingKey] { encoder.codingPath }

    var count: Int {
        if case .array(let nodes) = encoder.node.content { nodes.count } else { 0 }
    }

    private func element() -> JSONValueEncoder {
        let key = IndexKey(count)
        return encoder.child(encoder.node.element(), key)
    }

    func encodeNil() { element().encodeNil() }
    func encode(_ value: Bool) { element().encode(value) }
    func encode(_ value: String) { element().encode(value) }
    func encode(_ value: Double) throws { try element().encode(value) }
    func encode(_ value: Float) throws { try element().encode(value) }
    func encode(_ value: Int) { element().encode(value) }
    func encode(_ value: Int8) { element().encode(value) }
    func encode(_ value: Int16) { element().encode(value) }
    func encode(_ value: Int32) { element().encode(value) }
    func encode(_ value: Int64) { element().encode(value) }
    func encode(_ value: UInt) { element().encode(value) }
    func encode(_ value: UInt8) { element().encode(value) }
    func encode(_ value: UInt16) { element().encode(value) }
    func encode(_ value: UInt32) { element().encode(value) }
    func encode(_ value: UInt64) { element().encode(value) }
    func encode(_ value: some Encodable) throws { try value.encode(to: element()) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        element().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { element().unkeyedContainer() }
    func superEncoder() -> any Encoder { element() }
}
