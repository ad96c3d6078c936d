internal import JSON

/// One schema of a schema, compiled. Others are named by their index, so that those that refer to themselves are no
/// cycles of references.
struct SchemaNode: Sendable {
    /// `false`: nothing is allowed.
    var refusesAll = false
    var types = Types.all
    var constants: [JSONValue]?
    var string: StringRules?
    var number: NumberRules?
    var array: ArrayRules?
    var object: ObjectRules?
    var reference: Int?
    var combined: Combinations?

    struct Types: OptionSet, Sendable {
        let rawValue: UInt8
        static let null = Types(rawValue: 1)
        static let boolean = Types(rawValue: 2)
        static let object = Types(rawValue: 4)
        static let array = Types(rawValue: 8)
        static let string = Types(rawValue: 16)
        /// Whole numbers; `number` has both.
        static let integer = Types(rawValue: 32)
        static let fraction = Types(rawValue: 64)
        static let number: Types = [.integer, .fraction]
        static let all = Types(rawValue: 127)

        static let names: [(name: String, types: Types)] = [
            ("null", .null), ("boolean", .boolean), ("object", .object), ("array", .array), ("string", .string),
            ("number", .number), ("integer", .integer),
        ]

        /// `a string`, `null or an array`.
        var text: String {
            let articles = ["null": "null", "object": "an object", "array": "an array", "integer": "a whole number"]
            let known = Self.names.filter { entry in
                isSuperset(of: entry.types) && !(entry.name == "integer" && isSuperset(of: .number))
            }
            return known.map { articles[$0.name] ?? "a \($0.name)" }.joined(separator: " or ")
        }
    }

    // Classes, so that a node is a few words and going through one copies none of them.

    final class StringRules: Sendable {
        let length: ClosedRange<Int>
        let pattern: Pattern?
        let format: Format?

        init(length: ClosedRange<Int>, pattern: Pattern?, format: Format?) {
            self.length = length
            self.pattern = pattern
            self.format = format
        }
    }

    final class NumberRules: Sendable {
        let minimum, maximum, above, below: NumberBound?
        let multipleOf: NumberBound?

        init(
            minimum: NumberBound?, maximum: NumberBound?, above: NumberBound?, below: NumberBound?,
            multipleOf: NumberBound?
        ) {
            self.minimum = minimum
            self.maximum = maximum
            self.above = above
            self.below = below
            self.multipleOf = multipleOf
        }
    }

    final class ArrayRules: Sendable {
        let prefix: [Int]
        /// For what is behind the prefix.
        let items: Int?
        let count: ClosedRange<Int>
        let isUnique: Bool

        init(prefix: [Int], items: Int?, count: ClosedRange<Int>, isUnique: Bool) {
            self.prefix = prefix
            self.items = items
            self.count = count
            self.isUnique = isUnique
        }
    }

    final class ObjectRules: Sendable {
        /// By their names' bytes.
        let properties: [Property]
        let patterns: [(pattern: Pattern, node: Int)]
        /// For what is in neither.
        let additional: Int?
        let required: [(name: String, bytes: [UInt8])]
        let names: Int?
        let count: ClosedRange<Int>

        struct Property: Sendable {
            let name: [UInt8]
            let node: Int
        }

        init(
            properties: [Property], patterns: [(pattern: Pattern, node: Int)], additional: Int?, required: [String],
            names: Int?, count: ClosedRange<Int>
        ) {
            self.properties = properties.sorted { $0.name.lexicographicallyPrecedes($1.name) }
            self.patterns = patterns
            self.additional = additional
            self.required = required.map { ($0, Array($0.utf8)) }
            self.names = names
            self.count = count
        }

        func property(_ name: borrowing Span<UInt8>) -> Int? {
            var (low, high) = (0, properties.count)
            while low < high {
                let middle = (low + high) / 2
                switch order(properties[middle].name, name) {
                case 0: return properties[middle].node
                case ..<0: low = middle + 1
                case _: high = middle
                }
            }
            return nil
        }

        private func order(_ one: [UInt8], _ other: borrowing Span<UInt8>) -> Int {
            for index in 0..<min(one.count, other.count) where one[index] != other[index] {
                return Int(one[index]) - Int(other[index])
            }
            return one.count - other.count
        }
    }

    final class Combinations: Sendable {
        let all, any, one: [Int]?
        let not: Int?
        let condition, then, otherwise: Int?

        init(all: [Int]?, any: [Int]?, one: [Int]?, not: Int?, condition: Int?, then: Int?, otherwise: Int?) {
            self.all = all
            self.any = any
            self.one = one
            self.not = not
            self.condition = condition
            self.then = then
            self.otherwise = otherwise
        }

        /// All that look at the same value.
        var nodes: [Int] {
            (all ?? []) + (any ?? []) + (one ?? []) + [not, condition, then, otherwise].compactMap { $0 }
        }
    }
}

/// A number that others are compared with, exactly: by doubles where those differ, by all digits where they do not.
struct NumberBound: Sendable {
    let text: String
    let exact: JSONDecimal
    let double: Double
    let whole: Int64?

    init?(_ value: JSONValue) {
        guard let exact = value.exactNumber, let double = value.double, let text = value.numberText else { return nil }
        self.exact = exact
        self.double = double
        self.text = text
        whole = exact.units(fractionDigits: 0)
    }

    /// Below zero when the value is smaller.
    func order(of value: JSONValue) -> Int {
        if let one = value.int64, let whole { return one < whole ? -1 : one > whole ? 1 : 0 }
        // Reading as a double keeps order, and makes equal what is close: 999999999999.999999 and 10^12.
        if value.isDouble, let one = value.double, one != double { return one < double ? -1 : 1 }
        guard let one = value.exactNumber else { return 0 }
        return one < exact ? -1 : exact < one ? 1 : 0
    }

    /// Nil when the value has too many digits to tell.
    func divides(_ value: JSONValue) -> Bool? {
        // Not by -1: the smallest number has no opposite. And this is never negative.
        if let one = value.int64, let whole, whole > 0 { return one % whole == 0 }
        return value.exactNumber?.isMultiple(of: exact)
    }
}
