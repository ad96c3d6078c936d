/// The name of a handler: what its group, its retry topics and its dead letters are called after.
public struct HandlerName: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ name: String) { self.rawValue = name }
    public init(stringLiteral name: String) { self.rawValue = name }

    /// Whether a text can be one: it is part of the names of topics, groups, schemas and files.
    public static func isName(_ text: some StringProtocol) -> Bool {
        (1...64).contains(text.utf8.count) && !text.hasPrefix("-")
            && !text.hasSuffix("-")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                    true
                case _: false
                }
            }
    }

    public var description: String { rawValue }
    public static func < (left: HandlerName, right: HandlerName) -> Bool { left.rawValue < right.rawValue }
}
