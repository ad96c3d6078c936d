/// JSON pointers (RFC 6901): `/dimensions/country`, with `~1` for a slash and `~0` for a tilde within a name.
public enum JSONPointer {
    /// The names of a pointer; nil when the text is none.
    public static func parse(_ text: String) -> [String]? {
        guard !text.isEmpty else { return [] }
        guard text.hasPrefix("/") else { return nil }
        var names: [String] = []
        for part in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard part.utf8.contains(UInt8(ascii: "~")) else {
                names.append(String(part))
                continue
            }
            var name = String.UnicodeScalarView()
            var scalars = part.unicodeScalars.makeIterator()
            while let scalar = scalars.next() {
                guard scalar == "~" else {
                    name.append(scalar)
                    continue
                }
                switch scalars.next() {
                case "0": name.append("~")
                case "1": name.append("/")
                case _: return nil
                }
            }
            names.append(String(name))
        }
        return names
    }

    /// A name as it stands in a pointer.
    public static func escaped(_ name: String) -> String {
        guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return name }
        var escaped = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "~": escaped += "~0"
            case "/": escaped += "~1"
            case _: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// The position that a name of a pointer means in an array: digits without a leading zero.
    static func position(_ name: String) -> Int? {
        guard name == "0" || name.utf8.first != UInt8(ascii: "0"),
            name.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return Int(name)
    }
}

extension JSONValue {
    /// What a pointer leads to from here; nil when there is nothing, or the text is no pointer.
    public func at(pointer: String) -> JSONValue? {
        guard let names = JSONPointer.parse(pointer) else { return nil }
        return at(names)
    }

    /// As above, for a pointer that was parsed.
    public func at(_ names: [String]) -> JSONValue? {
        var value = self
        for name in names {
            let next = value.kind == .array ? JSONPointer.position(name).flatMap { value[$0] } : value[name]
            guard let next else { return nil }
            value = next
        }
        return value
    }

    /// The pointer from this value to one within it; nil when it is not. The place is found by going down, so that
    /// nobody who walks a document needs to note where they are.
    public func pointer(to target: JSONValue) -> String? {
        guard target.document === document, (index..<document.next(index)).contains(target.index) else { return nil }
        var pointer = ""
        var value = self
        descent: while value.index != target.index {
            switch value.kind {
            case .object:
                for member in value.members where member.value.reaches(target.index) || member.key.index == target.index
                {
                    pointer += "/" + JSONPointer.escaped(member.name)
                    // A name is no value; whoever asks for it means the member.
                    if member.key.index == target.index { return pointer }
                    value = member.value
                    continue descent
                }
            case .array:
                for (position, element) in value.elements.enumerated() where element.reaches(target.index) {
                    pointer += "/\(position)"
                    value = element
                    continue descent
                }
            case .null, .bool, .number, .string: break
            }
            // Between two values: a closing bracket, the second word of a number.
            return nil
        }
        return pointer
    }

    private func reaches(_ place: Int) -> Bool { (index..<document.next(index)).contains(place) }
}
