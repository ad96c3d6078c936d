/// The name of a handler: what its group, its retry topics and its dead letters are called after.
public struct HandlerName: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ name: String) { self.rawValue = name }
    public init(stringLiteral name: String) { self.rawValue = name }

    public var description: String { rawValue }
    public static func < (left: HandlerName, right: HandlerName) -> Bool { left.rawValue < right.rawValue }
}
