internal import JSON

/// One value being held against a schema.
///
/// Where it is in the value is not noted on the way: a violation asks the document for the pointer to its place.
struct SchemaValidation {
    let schema: Schema
    private let root: JSONValue
    private var violations: [SchemaViolation] = []
    /// Above zero only the verdict matters, as within `anyOf`.
    var quiet: Int
    /// Why the check was given up. Told at the end, because within `not` what was not checked would count as passed.
    private var surrender: SchemaViolation?
    private var depth = 0
    /// What may still be done: schemas that refer to themselves twice could otherwise double the work at every level.
    private var budget: Int

    private static let violationLimit = 20
    private static let depthLimit = 256

    init(_ schema: Schema, _ value: JSONValue, isQuiet: Bool = false) {
        self.schema = schema
        root = value
        quiet = isQuiet ? 1 : 0
        budget = 100_000 + 64 * value.document.wordCount
    }

    mutating func run() -> [SchemaViolation] {
        let isValid = check(root, 0)
        if let surrender {
            violations.append(surrender)
        } else if !isValid, violations.isEmpty {
            violations.append(SchemaViolation(pointer: "", reason: "is not what its schema allows"))
        }
        return violations
    }

    /// Notes a violation; false, for `return`.
    mutating func refuse(_ value: JSONValue, _ reason: @autoclosure () -> String) -> Bool {
        if quiet == 0, violations.count < Self.violationLimit {
            violations.append(SchemaViolation(pointer: root.pointer(to: value) ?? "", reason: reason()))
        }
        return false
    }

    private mutating func giveUp(_ value: JSONValue, _ reason: String) -> Bool {
        if surrender == nil { surrender = SchemaViolation(pointer: root.pointer(to: value) ?? "", reason: reason) }
        return false
    }

    private var isFull: Bool { quiet > 0 || violations.count >= Self.violationLimit }

    mutating func check(_ value: JSONValue, _ index: Int) -> Bool {
        budget -= 1
        if surrender != nil { return false }
        if budget < 0 { return giveUp(value, "takes too long to check against its schema") }
        if depth == Self.depthLimit {
            return giveUp(value, "is nested deeper than its schema may follow, \(depth) levels")
        }
        depth += 1
        defer { depth -= 1 }
        // An index into what the compiler made: always there.
        let node = schema.nodes[index]
        if node.refusesAll { return refuse(value, "must not be there") }
        let kind = value.kind
        if node.types != .all, !node.types.contains(Self.type(of: value, kind)) {
            return refuse(value, "must be \(node.types.text), is \(Self.name(of: value, kind))")
        }
        var isValid = true
        if let constants = node.constants, !constants.contains(value) {
            isValid = refuse(value, Self.wanted(constants))
        }
        switch kind {
        case .string: if let rules = node.string { isValid = check(string: value, rules) && isValid }
        case .number: if let rules = node.number { isValid = check(number: value, rules) && isValid }
        case .array: if let rules = node.array { isValid = check(array: value, rules) && isValid }
        case .object: if let rules = node.object { isValid = check(object: value, rules) && isValid }
        case .null, .bool: break
        }
        if !isValid, isFull { return false }
        if let reference = node.reference { isValid = check(value, reference) && isValid }
        if let combined = node.combined { isValid = check(combined: value, combined) && isValid }
        return isValid
    }

    static func type(of value: JSONValue, _ kind: JSONValue.Kind) -> SchemaNode.Types {
        switch kind {
        case .null: return .null
        case .bool: return .boolean
        case .string: return .string
        case .array: return .array
        case .object: return .object
        case .number:
            guard value.isDouble, let double = value.double else { return .integer }
            return double == double.rounded(.towardZero) ? .integer : .fraction
        }
    }

    private static func name(of value: JSONValue, _ kind: JSONValue.Kind) -> String {
        switch kind {
        case .null: "null"
        case .bool: "a boolean"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        case .number: "the number \((value.numberText ?? "").prefix(40))"
        }
    }

    private static func wanted(_ constants: [JSONValue]) -> String {
        let texts = constants.prefix(8).map { constant in
            constant.withSource { source in
                let text = unsafe source.withUnsafeBytes { unsafe String(decoding: $0.prefix(60), as: UTF8.self) }
                return source.byteCount > 60 ? text + "…" : text
            }
        }
        let more = constants.count > 8 ? " or \(constants.count - 8) others" : ""
        return constants.count == 1 ? "must be \(texts[0])" : "must be one of \(texts.joined(separator: ", "))\(more)"
    }

    // MARK: Scalars

    private mutating func check(string value: JSONValue, _ rules: SchemaNode.StringRules) -> Bool {
        var isValid = true
        if rules.length != 0...(.max) {
            let length = value.withUTF8(Self.characters) ?? 0
            if length < rules.length.lowerBound {
                isValid = refuse(value, "must have at least \(rules.length.lowerBound) characters, has \(length)")
            } else if length > rules.length.upperBound {
                isValid = refuse(value, "must have at most \(rules.length.upperBound) characters, has \(length)")
            }
        }
        if let pattern = rules.pattern {
            switch find(pattern, in: value) {
            case .matches: break
            case .differs: isValid = refuse(value, "must match the pattern \(pattern.text)")
            case .gaveUp: isValid = giveUp(value, "takes too long to match with the pattern \(pattern.text)")
            }
        }
        if let format = rules.format, value.withUTF8({ format.accepts($0) }) == false {
            isValid = refuse(value, "must be \(format.text)")
        }
        return isValid
    }

    private mutating func find(_ pattern: Pattern, in value: JSONValue) -> Pattern.Answer {
        let (answer, length) = value.withUTF8 { (pattern.find(in: $0), $0.count) } ?? (.differs, 0)
        budget -= length / 64
        return answer
    }

    /// Code points: bytes that begin one.
    private static func characters(_ text: borrowing Span<UInt8>) -> Int {
        var count = 0
        for index in text.indices where text[index] & 0xc0 != 0x80 { count += 1 }
        return count
    }

    private mutating func check(number value: JSONValue, _ rules: SchemaNode.NumberRules) -> Bool {
        var isValid = true
        if let bound = rules.minimum, bound.order(of: value) < 0 {
            isValid = refuse(value, "must be at least \(bound.text)")
        }
        if let bound = rules.maximum, bound.order(of: value) > 0 {
            isValid = refuse(value, "must be at most \(bound.text)")
        }
        if let bound = rules.above, bound.order(of: value) <= 0 {
            isValid = refuse(value, "must be above \(bound.text)")
        }
        if let bound = rules.below, bound.order(of: value) >= 0 {
            isValid = refuse(value, "must be below \(bound.text)")
        }
        if let multiple = rules.multipleOf {
            switch multiple.divides(value) {
            case true?: break
            case false?: isValid = refuse(value, "must be a multiple of \(multiple.text)")
            case nil: isValid = refuse(value, "has too many digits to be checked for multiples of \(multiple.text)")
            }
        }
        return isValid
    }

    // MARK: Containers

    private mutating func check(array value: JSONValue, _ rules: SchemaNode.ArrayRules) -> Bool {
        var isValid = true
        let count = value.count
        if count < rules.count.lowerBound {
            isValid = refuse(value, "must have at least \(rules.count.lowerBound) elements, has \(count)")
        } else if count > rules.count.upperBound {
            isValid = refuse(value, "must have at most \(rules.count.upperBound) elements, has \(count)")
        }
        if rules.isUnique, let twice = Self.repeated(value) {
            isValid = refuse(twice, "is there twice: the elements must differ")
        }
        var position = 0
        guard !rules.prefix.isEmpty || rules.items != nil else { return isValid }
        for element in value.elements {
            let node = position < rules.prefix.count ? rules.prefix[position] : rules.items
            guard let node else { break }
            isValid = check(element, node) && isValid
            if !isValid, isFull { return false }
            position += 1
        }
        return isValid
    }

    private static func repeated(_ value: JSONValue) -> JSONValue? {
        guard value.count > 1 else { return nil }
        var seen = Set<JSONValue>(minimumCapacity: value.count)
        return value.elements.first { !seen.insert($0).inserted }
    }

    private mutating func check(object value: JSONValue, _ rules: SchemaNode.ObjectRules) -> Bool {
        var isValid = true
        let count = value.count
        if count < rules.count.lowerBound {
            isValid = refuse(value, "must have at least \(rules.count.lowerBound) members, has \(count)")
        } else if count > rules.count.upperBound {
            isValid = refuse(value, "must have at most \(rules.count.upperBound) members, has \(count)")
        }
        for required in rules.required where value.member(required.bytes) == nil {
            isValid = refuse(value, "must have a member \(required.name.debugDescription)")
        }
        if !isValid, isFull { return false }
        budget -= rules.required.count * count / 16
        guard !rules.properties.isEmpty || !rules.patterns.isEmpty || rules.additional != nil || rules.names != nil
        else {
            return isValid
        }
        for member in value.members {
            isValid = check(member: member, rules) && isValid
            if !isValid, isFull { return false }
        }
        return isValid
    }

    private mutating func check(member: JSONValue.Member, _ rules: SchemaNode.ObjectRules) -> Bool {
        var isValid = true
        if let names = rules.names { isValid = check(member.key, names) }
        var isKnown = false
        // Nil twice over: a key is always a string.
        if let property = member.key.withUTF8({ rules.property($0) }) ?? nil {
            isKnown = true
            isValid = check(member.value, property) && isValid
        }
        for (pattern, node) in rules.patterns {
            budget -= 1
            switch find(pattern, in: member.key) {
            case .matches:
                isKnown = true
                isValid = check(member.value, node) && isValid
            case .differs: break
            case .gaveUp: isValid = giveUp(member.key, "has a name that takes too long to match with \(pattern.text)")
            }
        }
        guard !isKnown, let additional = rules.additional else { return isValid }
        guard schema.nodes[additional].refusesAll else { return check(member.value, additional) && isValid }
        let known = rules.properties.map { String(decoding: $0.name, as: UTF8.self) }
        let near =
            quiet > 0 ? nil : Nearest.name(to: member.name, in: known).map { "; did you mean \($0.debugDescription)?" }
        return refuse(member.value, "is not a member that is known here\(near ?? "")")
    }
}
