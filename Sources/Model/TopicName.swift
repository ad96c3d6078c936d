/// The name of a topic, as Kafka knows it.
public struct TopicName: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ name: String) { self.rawValue = name }
    public init(stringLiteral name: String) { self.rawValue = name }

    /// Whether a broker could have a topic of this name: 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
    public var isValid: Bool {
        let bytes = rawValue.utf8
        guard (1...249).contains(bytes.count), rawValue != ".", rawValue != ".." else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            case _: false
            }
        }
    }

    public var description: String { rawValue }
    public static func < (left: TopicName, right: TopicName) -> Bool { left.rawValue < right.rawValue }
}
