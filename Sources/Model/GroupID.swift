/// The name of a consumer group.
public struct GroupID: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ name: String) { self.rawValue = name }
    public init(stringLiteral name: String) { self.rawValue = name }

    public var description: String { rawValue }
    public static func < (left: GroupID, right: GroupID) -> Bool { left.rawValue < right.rawValue }
}
