/// A line and a column of a file, counted from 1 as editors do.
public struct FilePlace: Hashable, Sendable, Comparable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: FilePlace, right: FilePlace) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// Something written in a YAML file, and where.
package struct YamlNode: Sendable {
    package let place: FilePlace
    package let content: Content

    package enum Content: Sendable {
        /// `isPlain`: without quotes, so that `true` and `7` mean what they look like.
        case scalar(String, isPlain: Bool)
        case list([YamlNode])
        case map([Member])
    }

    package struct Member: Sendable {
        package let name: String
        package let place: FilePlace
        package let value: YamlNode
    }

    /// What it is, for a sentence.
    package var kind: String {
        switch content {
        case .scalar("", isPlain: true): "nothing"
        case .scalar(let text, _): text.count > 40 ? "a long text" : text.debugDescription
        case .list: "a list"
        case .map: "a map"
        }
    }
}
