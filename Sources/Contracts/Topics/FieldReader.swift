internal import Platform

/// Reads the members of one map of a topic file, and notes everything that is wrong with them.
///
/// A fault leaves the default in its place and reading goes on: all faults of all files are told at once.
package struct FieldReader {
    /// What a file's readers share.
    package final class Notes {
        package let file: String
        package var faults: [TopicFault] = []
        package var places: [String: FilePlace] = [:]

        package init(file: String) { self.file = file }

        package func refuse(_ place: FilePlace, _ reason: String) {
            faults.append(TopicFault(file: file, place: place, reason: reason))
        }
    }

    package let notes: Notes
    /// Where this map is in the file: `consumers[0].`, or nothing.
    package let path: String
    private let members: [YamlNode.Member]

    /// A value that is not a map is a fault and has no members; so is a name that is not known.
    package init(_ node: YamlNode, path: String, known: [String], notes: Notes) {
        self.notes = notes
        self.path = path
        guard case .map(let members) = node.content else {
            notes.refuse(node.place, "expected a map of \(known.joined(separator: ", ")), found \(node.kind)")
            self.members = []
            return
        }
        self.members = members
        for member in members {
            notes.places[path + member.name] = member.place
            if !known.contains(member.name) {
                notes.refuse(member.place, "\(path)\(member.name) is not known; \(Nearest.hint(member.name, known))")
            }
        }
    }

    /// The value of a member; one without a value is a fault.
    package func node(_ name: String) -> YamlNode? {
        guard let node = members.first(where: { $0.name == name })?.value else { return nil }
        if case .scalar(let text, isPlain: true) = node.content, ["", "~", "null"].contains(text) {
            refuse(node, name, "has no value: give it one, or take it out")
            return nil
        }
        return node
    }

    package func refuse(_ node: YamlNode, _ name: String, _ reason: String) {
        notes.refuse(node.place, "\(path)\(name) \(reason)")
    }

    /// A member made a value of by `parse`; `expected` completes the sentence about what it refuses.
    package func value<Value>(_ name: String, _ expected: String, _ parse: (_ text: String, _ isPlain: Bool) -> Value?)
        -> Value?
    {
        guard let node = node(name) else { return nil }
        if case .scalar(let text, let isPlain) = node.content, let value = parse(text, isPlain) { return value }
        refuse(node, name, "must be \(expected), is \(node.kind)")
        return nil
    }

    package func text(_ name: String) -> String? {
        value(name, "a text") { text, _ in text.isEmpty ? nil : text }
    }

    package func integer(_ name: String, _ range: ClosedRange<Int>) -> Int? {
        value(name, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text, isPlain in
            guard isPlain, let number = Int(text), range.contains(number) else { return nil }
            return number
        }
    }

    package func flag(_ name: String) -> Bool? {
        value(name, "true or false, without quotes") { text, isPlain in
            guard isPlain else { return nil }
            return text == "true" ? true : text == "false" ? false : nil
        }
    }

    package func duration(_ name: String, _ range: ClosedRange<Duration>) -> Duration? {
        value(name, "a time from \(range.lowerBound.text) to \(range.upperBound.text), as 500ms, 30s, 5m, 12h or 7d") {
            text, _ in
            Duration(text: text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    package func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String, _ type: Choice.Type) -> Choice?
    {
        value(name, Choice.allCases.map(\.rawValue).joined(separator: " or ")) { text, _ in Choice(rawValue: text) }
    }

    /// The elements of a list; anything else is a fault.
    package func list(_ name: String) -> [YamlNode]? {
        guard let node = node(name) else { return nil }
        if case .list(let elements) = node.content { return elements }
        refuse(node, name, "must be a list, is \(node.kind)")
        return nil
    }

    /// A list of texts that `parse` takes each.
    package func list<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) -> [Value]? {
        list(name)?.compactMap { element in
            if case .scalar(let text, _) = element.content, let value = parse(text) { return value }
            refuse(element, name, "must be a list of \(expected), and has \(element.kind)")
            return nil
        }
    }
}
