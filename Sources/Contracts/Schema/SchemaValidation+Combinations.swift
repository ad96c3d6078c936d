internal import JSON

extension SchemaValidation {
    mutating func check(combined value: JSONValue, _ rules: SchemaNode.Combinations) -> Bool {
        var isValid = true
        for node in rules.all ?? [] { isValid = check(value, node) && isValid }
        if let any = rules.any, !any.contains(where: { passes(value, $0) }) {
            isValid = refuse(value, "must be one of \(any.count) alternatives, is none")
            explain(value, any)
        }
        if let one = rules.one {
            let passed = one.count { passes(value, $0) }
            if passed != 1 {
                isValid = refuse(
                    value, "must be exactly one of \(one.count) alternatives, is \(passed == 0 ? "none" : "\(passed)")")
                if passed == 0 { explain(value, one) }
            }
        }
        if let not = rules.not, passes(value, not) { isValid = refuse(value, "is what it must not be") }
        if let condition = rules.condition {
            if let node = passes(value, condition) ? rules.then : rules.otherwise {
                isValid = check(value, node) && isValid
            }
        }
        return isValid
    }

    private mutating func passes(_ value: JSONValue, _ node: Int) -> Bool {
        quiet += 1
        defer { quiet -= 1 }
        return check(value, node)
    }

    /// Where only one alternative is of the value's kind, that one was meant, and what is wrong with it is told.
    private mutating func explain(_ value: JSONValue, _ alternatives: [Int]) {
        guard quiet == 0 else { return }
        let type = Self.type(of: value, value.kind)
        let meant = alternatives.filter { schema.nodes[$0].types.contains(type) && !schema.nodes[$0].refusesAll }
        if meant.count == 1, let node = meant.first { _ = check(value, node) }
    }
}
