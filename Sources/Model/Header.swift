/// One header of a record. A name may occur more than once, a value is any bytes, and null is not the same as empty.
public struct Header: Hashable, Sendable {
    public var name: String
    public var value: [UInt8]?

    public init(_ name: String, _ value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    /// A header whose value is this text in UTF-8.
    public init(_ name: String, _ text: String) {
        self.init(name, Array(text.utf8))
    }

    /// The value as text, nil when it is null or not UTF-8.
    public var text: String? { value.flatMap { String(validating: $0, as: UTF8.self) } }
}
