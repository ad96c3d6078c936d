internal import JSON

/// Makes nodes of a schema's text, and notes everything that is wrong with it.
struct SchemaCompiler {
    let document: JSONDocument
    let file: String
    private(set) var faults: [SchemaFault] = []
    private(set) var nodes: [SchemaNode] = []
    /// The node of each schema that was met, by its pointer: a reference may come before or after.
    private(set) var known: [String: Int] = [:]

    private static let depthLimit = 64
    private static let faultLimit = 20

    /// Said about a value; nothing is to be checked.
    static let annotations: Set<String> = [
        "title", "description", "default", "examples", "$comment", "$id", "$schema", "deprecated", "readOnly",
        "writeOnly",
    ]
    static let keywords: Set<String> = [
        "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "items",
        "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minProperties", "maxProperties", "propertyNames",
        "allOf",
        "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$defs", "format",
    ]

    init(document: JSONDocument, file: String) {
        self.document = document
        self.file = file
    }

    mutating func compile() {
        if let twice = document.root.firstDuplicateKey(deep: true) { refuse(twice, "is there twice") }
        if let dialect = document.root["$schema"], !dialect.isString("https://json-schema.org/draft/2020-12/schema") {
            refuse("/$schema", "only https://json-schema.org/draft/2020-12/schema is read")
        }
        if let id = document.root["$id"], id.string?.isEmpty != false { refuse("/$id", "must be a URI") }
        _ = node(document.root, "", 0)
        if faults.isEmpty { findCircles() }
    }

    mutating func refuse(_ pointer: String, _ reason: String) {
        if faults.count < Self.faultLimit { faults.append(SchemaFault(file: file, pointer: pointer, reason: reason)) }
    }

    /// The node of the schema at a pointer, made if it is not there yet.
    private mutating func node(_ schema: JSONValue, _ pointer: String, _ depth: Int) -> Int {
        if let index = known[pointer] { return index }
        let index = nodes.count
        known[pointer] = index
        nodes.append(SchemaNode())
        var node = SchemaNode()
        switch schema.kind {
        case .bool: node.refusesAll = schema.bool == false
        case .object where depth < Self.depthLimit: read(schema, pointer, depth, &node)
        case .object: refuse(pointer, "is nested deeper than \(Self.depthLimit)")
        case .null, .number, .string, .array: refuse(pointer, "must be an object, true or false")
        }
        nodes[index] = node
        return index
    }

    private mutating func read(_ schema: JSONValue, _ pointer: String, _ depth: Int, _ node: inout SchemaNode) {
        for member in schema.members {
            let name = member.name
            if Self.annotations.contains(name) {
                if name == "$id", !pointer.isEmpty { refuse(pointer + "/$id", "only the whole schema may have one") }
                continue
            }
            if name == Normalisation.keyword {
                if !pointer.isProperties { refuse(pointer + "/" + name, "belongs to a member: only below properties") }
                if Normalisation.Steps(member.value) == nil {
                    refuse(pointer + "/" + name, "must be a list of trim and lowercase")
                }
                continue
            }
            if !Self.keywords.contains(name) {
                let near = Nearest.name(to: name, in: Self.keywords.union(Self.annotations).sorted())
                let hint = near.map { "; did you mean \($0)?" } ?? "; docs/topics.md lists what is"
                refuse(pointer + "/" + JSONPointer.escaped(name), "is not supported\(hint)")
            }
        }
        node.types = types(schema["type"], pointer + "/type")
        node.constants = constants(schema, pointer)
        node.string = stringRules(schema, pointer)
        node.number = numberRules(schema, pointer)
        node.array = arrayRules(schema, pointer, depth)
        node.object = objectRules(schema, pointer, depth)
        node.combined = combinations(schema, pointer, depth)
        if let reference = schema["$ref"] { node.reference = target(reference, pointer + "/$ref", depth) }
        if schema["$defs"] != nil { _ = table(schema, "$defs", pointer, depth) }
    }

    // MARK: Any value

    private mutating func types(_ value: JSONValue?, _ pointer: String) -> SchemaNode.Types {
        guard let value else { return .all }
        let names = value.kind == .array ? Array(value.elements) : [value]
        var types = SchemaNode.Types()
        for name in names {
            let known = SchemaNode.Types.names
            guard let text = name.string, let found = known.first(where: { $0.name == text }) else {
                refuse(pointer, "must be one or a list of \(known.map(\.name).joined(separator: ", "))")
                return .all
            }
            types.formUnion(found.types)
        }
        if names.isEmpty { refuse(pointer, "is an empty list: nothing would be allowed") }
        return types
    }

    private mutating func constants(_ schema: JSONValue, _ pointer: String) -> [JSONValue]? {
        var constants: [JSONValue]?
        if let list = schema["enum"] {
            if list.kind != .array || list.count == 0 {
                refuse(pointer + "/enum", "must be a list with something in it")
            }
            constants = Array(list.elements)
        }
        if let constant = schema["const"] { constants = constants.map { $0.filter { $0 == constant } } ?? [constant] }
        return constants
    }

    private mutating func target(_ value: JSONValue, _ pointer: String, _ depth: Int) -> Int? {
        guard let text = value.string, text == "#" || text.hasPrefix("#/$defs/"), !text.contains("%") else {
            refuse(pointer, "must be # or begin with #/$defs/: schemas refer to themselves alone")
            return nil
        }
        let path = String(text.dropFirst())
        guard let schema = document.root.at(pointer: path) else {
            refuse(pointer, "leads nowhere: there is no \(text)")
            return nil
        }
        // From the depth where it stands: going round in circles ends at `known`.
        return node(schema, path, depth + 1)
    }

    // MARK: Numbers that keywords have

    private mutating func count(_ schema: JSONValue, _ name: String, _ pointer: String) -> Int? {
        guard let value = schema[name] else { return nil }
        guard let units = value.exactNumber?.units(fractionDigits: 0), units >= 0 else {
            refuse(pointer + "/" + name, "must be a whole number, not below zero")
            return nil
        }
        return Int(units)
    }

    private mutating func range(_ schema: JSONValue, _ low: String, _ high: String, _ pointer: String) -> ClosedRange<
        Int
    >? {
        let (least, most) = (count(schema, low, pointer), count(schema, high, pointer))
        guard least != nil || most != nil else { return nil }
        guard least ?? 0 <= most ?? .max else {
            refuse(pointer + "/" + low, "is above \(high): nothing would be allowed")
            return nil
        }
        return (least ?? 0)...(most ?? .max)
    }

    private mutating func bound(_ schema: JSONValue, _ name: String, _ pointer: String) -> NumberBound? {
        guard let value = schema[name] else { return nil }
        guard let bound = NumberBound(value) else {
            refuse(pointer + "/" + name, "must be a number of at most 38 digits")
            return nil
        }
        return bound
    }

    // MARK: One kind of value

    private mutating func stringRules(_ schema: JSONValue, _ pointer: String) -> SchemaNode.StringRules? {
        let length = range(schema, "minLength", "maxLength", pointer)
        let pattern = schema["pattern"].flatMap { compile(pattern: $0.string, pointer + "/pattern") }
        var format: Format?
        if let name = schema["format"] {
            format = name.string.flatMap(Format.init(rawValue:))
            if format == nil {
                let known = Format.allCases.map(\.rawValue).joined(separator: ", ")
                refuse(pointer + "/format", "is not supported: known are \(known)")
            }
        }
        guard length != nil || pattern != nil || format != nil else { return nil }
        return SchemaNode.StringRules(length: length ?? 0...(.max), pattern: pattern, format: format)
    }

    private mutating func compile(pattern text: String?, _ pointer: String) -> Pattern? {
        guard let text else {
            refuse(pointer, "must be a string")
            return nil
        }
        do throws(Pattern.Fault) {
            return try Pattern(text)
        } catch {
            refuse(pointer, "is no pattern: \(error.reason)")
            return nil
        }
    }

    private mutating func numberRules(_ schema: JSONValue, _ pointer: String) -> SchemaNode.NumberRules? {
        let multiple = bound(schema, "multipleOf", pointer)
        if let multiple,
            multiple.exact.isNegative || multiple.exact.coefficient == 0
                || multiple.exact.coefficient >= 1_000_000_000_000_000_000
        {
            refuse(pointer + "/multipleOf", "must be above zero and have at most 18 digits")
        }
        let rules = SchemaNode.NumberRules(
            minimum: bound(schema, "minimum", pointer), maximum: bound(schema, "maximum", pointer),
            above: bound(schema, "exclusiveMinimum", pointer), below: bound(schema, "exclusiveMaximum", pointer),
            multipleOf: multiple)
        let all = [rules.minimum, rules.maximum, rules.above, rules.below, rules.multipleOf]
        return all.contains { $0 != nil } ? rules : nil
    }

    private mutating func arrayRules(_ schema: JSONValue, _ pointer: String, _ depth: Int) -> SchemaNode.ArrayRules? {
        let prefix = list(schema, "prefixItems", pointer, depth)
        let items = schema["items"].map { node($0, pointer + "/items", depth + 1) }
        let count = range(schema, "minItems", "maxItems", pointer)
        let unique = schema["uniqueItems"]
        if let unique, unique.bool == nil { refuse(pointer + "/uniqueItems", "must be true or false") }
        guard prefix != nil || items != nil || count != nil || unique?.bool == true else { return nil }
        return SchemaNode.ArrayRules(
            prefix: prefix ?? [], items: items, count: count ?? 0...(.max), isUnique: unique?.bool == true)
    }

    private mutating func objectRules(_ schema: JSONValue, _ pointer: String, _ depth: Int) -> SchemaNode.ObjectRules? {
        let properties = table(schema, "properties", pointer, depth)
        var patterns: [(pattern: Pattern, node: Int)] = []
        for (name, node) in table(schema, "patternProperties", pointer, depth) ?? [] {
            let place = pointer + "/patternProperties/" + JSONPointer.escaped(name)
            if let pattern = compile(pattern: name, place) { patterns.append((pattern, node)) }
        }
        let additional = schema["additionalProperties"].map { node($0, pointer + "/additionalProperties", depth + 1) }
        let names = schema["propertyNames"].map { node($0, pointer + "/propertyNames", depth + 1) }
        let count = range(schema, "minProperties", "maxProperties", pointer)
        var required: [String]?
        if let list = schema["required"] {
            required = list.elements.compactMap(\.string)
            if list.kind != .array || required?.count != list.count || Set(required ?? []).count != list.count {
                refuse(pointer + "/required", "must be a list of different strings")
            }
        }
        guard
            properties != nil || !patterns.isEmpty || additional != nil || names != nil || count != nil
                || required?.isEmpty == false
        else { return nil }
        return SchemaNode.ObjectRules(
            properties: (properties ?? []).map {
                SchemaNode.ObjectRules.Property(name: Array($0.name.utf8), node: $0.node)
            },
            patterns: patterns, additional: additional, required: required ?? [], names: names,
            count: count ?? 0...(.max))
    }

    private mutating func combinations(_ schema: JSONValue, _ pointer: String, _ depth: Int) -> SchemaNode.Combinations?
    {
        let (then, otherwise) = (schema["then"], schema["else"])
        if schema["if"] == nil, then != nil || otherwise != nil {
            refuse(pointer + (then != nil ? "/then" : "/else"), "has no if: it would never be looked at")
        }
        let combined = SchemaNode.Combinations(
            all: list(schema, "allOf", pointer, depth), any: list(schema, "anyOf", pointer, depth),
            one: list(schema, "oneOf", pointer, depth),
            not: schema["not"].map { node($0, pointer + "/not", depth + 1) },
            condition: schema["if"].map { node($0, pointer + "/if", depth + 1) },
            then: then.map { node($0, pointer + "/then", depth + 1) },
            otherwise: otherwise.map { node($0, pointer + "/else", depth + 1) })
        return combined.nodes.isEmpty ? nil : combined
    }

    // MARK: Schemas in lists and tables

    private mutating func list(_ schema: JSONValue, _ name: String, _ pointer: String, _ depth: Int) -> [Int]? {
        guard let value = schema[name] else { return nil }
        guard value.kind == .array, value.count > 0 else {
            refuse(pointer + "/" + name, "must be a list of schemas with something in it")
            return nil
        }
        return value.elements.enumerated().map { position, schema in
            node(schema, "\(pointer)/\(name)/\(position)", depth + 1)
        }
    }

    private mutating func table(
        _ schema: JSONValue, _ name: String, _ pointer: String, _ depth: Int
    ) -> [(name: String, node: Int)]? {
        guard let value = schema[name] else { return nil }
        guard value.kind == .object else {
            refuse(pointer + "/" + name, "must be an object of schemas")
            return nil
        }
        return value.members.map { member in
            (member.name, node(member.value, "\(pointer)/\(name)/\(JSONPointer.escaped(member.name))", depth + 1))
        }
    }
}
