internal import JSON

/// Whether a new schema takes everything that an old one took.
///
/// By the schemas as they are written, side by side: what is the same is not looked into, what is loosened is told as
/// compatible, what is tightened as breaking. What cannot be judged that way (`not`, `if`, a changed pattern) counts as
/// breaking: it is for a person to look at.
struct SchemaComparison {
    struct Change: Hashable {
        let isBreaking: Bool
        let pointer: String
        let reason: String
    }

    private(set) var changes: [Change] = []
    private let old: JSONValue
    private let new: JSONValue
    /// Pairs that were compared, or are being compared: schemas may refer to themselves.
    private var seen: Set<[String]> = []

    /// Far below what the two could be made to need by referring to themselves.
    private static let depthLimit = 64

    init(_ old: Schema, _ new: Schema) {
        (self.old, self.new) = (old.document.root, new.document.root)
        compare(self.old, self.new, "", 0)
    }

    private mutating func breaks(_ pointer: String, _ reason: String) {
        changes.append(Change(isBreaking: true, pointer: pointer, reason: reason))
    }

    private mutating func allows(_ pointer: String, _ reason: String) {
        changes.append(Change(isBreaking: false, pointer: pointer, reason: reason))
    }

    /// What a `$ref` alone leads to.
    private func target(_ schema: JSONValue, in root: JSONValue) -> JSONValue {
        var schema = schema
        for _ in 0..<Self.depthLimit {
            guard let reference = schema["$ref"]?.string, schema.count == 1,
                let next = root.at(pointer: String(reference.dropFirst()))
            else { break }
            schema = next
        }
        return schema
    }

    private mutating func compare(_ oldSchema: JSONValue, _ newSchema: JSONValue, _ pointer: String, _ depth: Int) {
        let (one, other) = (target(oldSchema, in: old), target(newSchema, in: new))
        guard let onePlace = old.pointer(to: one), let otherPlace = new.pointer(to: other) else { return }
        guard seen.insert([onePlace, otherPlace]).inserted else { return }
        guard depth < Self.depthLimit else { return breaks(pointer, "is nested too deep to be compared") }
        if one.bool == false || other.bool == true { return }
        if other.bool == false { return breaks(pointer, "nothing is allowed any more") }
        let members = Set(one.members.map(\.name) + other.members.map(\.name))
        if members.contains("$ref") { compareWhole("$ref", one, other, pointer) }
        compareTypes(one, other, pointer)
        compareConstants(one, other, pointer)
        for name in ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"] {
            compareBound(name, one, other, pointer, isLow: true)
        }
        for name in ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"] {
            compareBound(name, one, other, pointer, isLow: false)
        }
        for name in ["pattern", "format", "multipleOf", "uniqueItems", "not", "if", "then", "else"] {
            compareWhole(name, one, other, pointer)
        }
        for name in ["allOf", "anyOf", "oneOf"] { compareAlternatives(name, one, other, pointer) }
        compareObjects(one, other, pointer, depth)
        compareArrays(one, other, pointer, depth)
    }

    // MARK: Any value

    private static func types(_ schema: JSONValue) -> Set<String> {
        guard let type = schema["type"] else { return Set(["null", "boolean", "object", "array", "string", "number"]) }
        let names = type.string.map { [$0] } ?? type.elements.compactMap(\.string)
        // Every whole number is a number.
        return Set(names.contains("number") ? names.filter { $0 != "integer" } : names)
    }

    private mutating func compareTypes(_ one: JSONValue, _ other: JSONValue, _ pointer: String) {
        let (before, after) = (Self.types(one), Self.types(other))
        let gone = before.subtracting(after).filter { !($0 == "integer" && after.contains("number")) }
        let fresh = after.subtracting(before)
        if !gone.isEmpty {
            breaks(pointer + "/type", "\(gone.sorted().joined(separator: ", ")) is no longer allowed")
        } else if !fresh.isEmpty {
            allows(pointer + "/type", "\(fresh.sorted().joined(separator: ", ")) is allowed too")
        }
    }

    private static func constants(_ schema: JSONValue) -> [JSONValue]? {
        schema["const"].map { [$0] } ?? schema["enum"].map { Array($0.elements) }
    }

    private mutating func compareConstants(_ one: JSONValue, _ other: JSONValue, _ pointer: String) {
        guard let after = Self.constants(other) else {
            if Self.constants(one) != nil { allows(pointer + "/enum", "is gone: other values are allowed") }
            return
        }
        guard let before = Self.constants(one) else {
            return breaks(pointer + "/enum", "is new: other values are no longer allowed")
        }
        let gone = before.filter { !after.contains($0) }.map(Self.text)
        let fresh = after.filter { !before.contains($0) }.map(Self.text)
        if !gone.isEmpty { breaks(pointer + "/enum", "\(gone.joined(separator: ", ")) is no longer allowed") }
        if !fresh.isEmpty { allows(pointer + "/enum", "\(fresh.joined(separator: ", ")) is allowed too") }
    }

    private static func text(_ value: JSONValue) -> String {
        value.withSource { source in
            unsafe source.withUnsafeBytes { unsafe String(decoding: $0.prefix(60), as: UTF8.self) }
        }
    }

    private mutating func compareBound(
        _ name: String, _ one: JSONValue, _ other: JSONValue, _ pointer: String, isLow: Bool
    ) {
        let (before, after) = (one[name]?.exactNumber, other[name]?.exactNumber)
        guard before != after else { return }
        let place = pointer + "/" + name
        guard let after else { return allows(place, "is gone") }
        guard let before else {
            // At least nothing is no bound.
            if isLow, after.coefficient == 0, name.hasPrefix("min"), name != "minimum" { return }
            return breaks(place, "is new: \(other[name]?.numberText ?? "")")
        }
        let text = "\(one[name]?.numberText ?? "") → \(other[name]?.numberText ?? "")"
        if isLow ? before < after : after < before { breaks(place, text) } else { allows(place, text) }
    }

    private mutating func compareWhole(_ name: String, _ one: JSONValue, _ other: JSONValue, _ pointer: String) {
        let (before, after) = (one[name], other[name])
        guard before != after else { return }
        if name == "uniqueItems", after?.bool != true {
            if before?.bool == true { allows(pointer + "/uniqueItems", "is gone") }
            return
        }
        let place = pointer + "/" + name
        switch (before, after) {
        case (nil, .some(let value)): breaks(place, "is new: \(Self.text(value))")
        case (.some, nil):
            // Without its condition, or one half of it, a value may be refused that was not.
            if ["if", "then", "else"].contains(name) { breaks(place, "is gone") } else { allows(place, "is gone") }
        case (.some(let value), .some(let next)): breaks(place, "\(Self.text(value)) → \(Self.text(next))")
        case (nil, nil): break
        }
    }

    private mutating func compareAlternatives(_ name: String, _ one: JSONValue, _ other: JSONValue, _ pointer: String) {
        let (before, after) = (one[name], other[name])
        guard before != after else { return }
        let place = pointer + "/" + name
        guard let after else { return allows(place, "is gone") }
        guard let before else { return breaks(place, "is new") }
        let (gone, fresh) = (
            before.elements.filter { !after.elements.contains($0) },
            after.elements.filter { !before.elements.contains($0) }
        )
        // One more way for any, one demand less for all; with exactly one, a further alternative may make two.
        let isLooser = name == "anyOf" ? gone.isEmpty : name == "allOf" ? fresh.isEmpty : false
        if isLooser {
            allows(place, "has other alternatives")
        } else {
            breaks(place, "has other alternatives, which may refuse what was allowed")
        }
    }

    // MARK: Containers

    private static func required(_ schema: JSONValue) -> Set<String> {
        Set(schema["required"].map { $0.elements.compactMap(\.string) } ?? [])
    }

    private mutating func compareObjects(_ one: JSONValue, _ other: JSONValue, _ pointer: String, _ depth: Int) {
        let (needed, needs) = (Self.required(one), Self.required(other))
        for name in needs.subtracting(needed).sorted() {
            breaks(pointer + "/required", "\(name) is required now, and old records may not have it")
        }
        for name in needed.subtracting(needs).sorted() where other["properties"]?[name] != nil {
            allows(pointer + "/required", "\(name) is no longer required")
        }
        let isClosed = other["additionalProperties"]?.bool == false
        for member in one["properties"].map({ Array($0.members) }) ?? [] {
            let name = member.name
            let place = "\(pointer)/properties/\(JSONPointer.escaped(name))"
            if let after = other["properties"]?[name] {
                compare(member.value, after, place, depth + 1)
            } else if needed.contains(name) {
                breaks(place, "is gone, and it was required: readers that count on it do not find it")
            } else if isClosed {
                breaks(place, "is gone, and old records that have it are refused")
            } else {
                allows(place, "is gone")
            }
        }
        for member in other["properties"].map({ Array($0.members) }) ?? [] where one["properties"]?[member.name] == nil
        {
            allows("\(pointer)/properties/\(JSONPointer.escaped(member.name))", "is new")
        }
        compareRest("additionalProperties", one, other, pointer, depth)
        compareRest("propertyNames", one, other, pointer, depth)
        compareWhole("patternProperties", one, other, pointer)
    }

    private mutating func compareArrays(_ one: JSONValue, _ other: JSONValue, _ pointer: String, _ depth: Int) {
        compareRest("items", one, other, pointer, depth)
        let (before, after) = (one["prefixItems"], other["prefixItems"])
        let schemas: [JSONValue] = after.map { Array($0.elements) } ?? []
        for (position, schema) in schemas.enumerated() {
            let place = "\(pointer)/prefixItems/\(position)"
            if let old = before?[position] { compare(old, schema, place, depth + 1) } else { breaks(place, "is new") }
        }
        if let before, before.count > after?.count ?? 0 { allows(pointer + "/prefixItems", "has fewer entries") }
    }

    /// A schema for whatever is not named.
    private mutating func compareRest(
        _ name: String, _ one: JSONValue, _ other: JSONValue, _ pointer: String, _ depth: Int
    ) {
        let place = pointer + "/" + name
        switch (one[name], other[name]) {
        case (nil, nil): break
        case (.some(let before), nil): if before.bool != true { allows(place, "is gone: anything is allowed") }
        case (nil, .some(let after)):
            if after.bool == false {
                breaks(place, "is closed: other members are no longer allowed")
            } else if after.bool == nil, after.count > 0 {
                breaks(place, "is new")
            }
        case (.some(let before), .some(let after)):
            if before.bool == true, after.bool == false {
                breaks(place, "is closed: other members are no longer allowed")
            } else if before.bool == false, after.bool != false {
                allows(place, "is open: other members are allowed")
            } else {
                compare(before, after, place, depth + 1)
            }
        }
    }
}
