internal import JSON

/// What is to be done to a text before it is held against the schema: `"x-normalise": ["trim", "lowercase"]` beside the
/// rules for a member. Only whoever takes events in does it; for validating it is nothing.
public struct Normalisation: Hashable, Sendable {
    static let keyword = "x-normalise"

    /// The members that lead to it, from the root.
    public let path: [String]
    public let steps: Steps

    public struct Steps: OptionSet, Hashable, Sendable {
        public let rawValue: Int

        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let trim = Steps(rawValue: 1)
        public static let lowercase = Steps(rawValue: 2)

        /// Nil when it is no list of steps.
        init?(_ list: JSONValue) {
            guard list.kind == .array, list.count > 0 else { return nil }
            self = []
            for name in list.elements {
                if name.isString("trim") {
                    insert(.trim)
                } else if name.isString("lowercase") {
                    insert(.lowercase)
                } else {
                    return nil
                }
            }
        }
    }

    /// The text as it should have been sent.
    public func apply(to text: String) -> String {
        var result = Substring(text)
        if steps.contains(.trim) {
            result = result.drop(while: \.isWhitespace)
            while result.last?.isWhitespace == true { result.removeLast() }
        }
        return steps.contains(.lowercase) ? result.lowercased() : String(result)
    }
}

extension Schema {
    /// All of them, of members of the root and of objects in it.
    public var normalisations: [Normalisation] {
        var found: [Normalisation] = []
        func look(_ schema: JSONValue, _ path: [String]) {
            guard let properties = schema["properties"] else { return }
            for member in properties.members {
                let here = path + [member.name]
                if let steps = member.value[Normalisation.keyword].flatMap({ Normalisation.Steps($0) }) {
                    found.append(Normalisation(path: here, steps: steps))
                }
                look(member.value, here)
            }
        }
        look(document.root, [])
        return found
    }
}

extension String {
    /// Whether a pointer into a schema leads to a member's rules: `/properties/a/properties/b`.
    var isProperties: Bool {
        let parts = split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        return !parts.isEmpty && parts.count % 2 == 0
            && stride(from: parts.startIndex, to: parts.endIndex, by: 2).allSatisfy { parts[$0] == "properties" }
    }
}
