extension JSONValue: Hashable {
    /// As JSON Schema compares: numbers by what they are (1 is 1.0), objects whatever their members' order.
    ///
    /// Recursion is as deep as the documents are, which is bounded.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        let kind = left.kind
        guard kind == right.kind else { return false }
        switch kind {
        case .null: return true
        case .bool: return left.bool == right.bool
        case .number: return numbersAreEqual(left, right)
        case .string:
            return unsafe equal(left.document.bytes(left.index), right.document.bytes(right.index))
        case .array:
            guard left.count == right.count else { return false }
            return zip(left.elements, right.elements).allSatisfy { $0 == $1 }
        case .object: return objectsAreEqual(left, right)
        }
    }

    private static func numbersAreEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let one = left.int64, let other = right.int64 { return one == other }
        if let one = left.uint64, let other = right.uint64 { return one == other }
        guard let one = left.double, let other = right.double, one == other else { return false }
        // A whole number that a double only comes near to is not that double.
        return (left.isDouble || Int128(exactly: one) == left.whole)
            && (right.isDouble || Int128(exactly: other) == right.whole)
    }

    private var whole: Int128? { int64.map { Int128($0) } ?? uint64.map { Int128($0) } }

    private static func objectsAreEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        guard left.count == right.count else { return false }
        // In the same order, as most are; then by sorting, which no order makes slow.
        let isSameOrder = zip(left.members, right.members).allSatisfy { $0.key == $1.key }
        if isSameOrder { return zip(left.members, right.members).allSatisfy { $0.value == $1.value } }
        return zip(left.sortedMembers(), right.sortedMembers()).allSatisfy { one, other in
            unsafe equal(left.document.bytes(one), right.document.bytes(other))
                && JSONValue(left.document, one + 1) == JSONValue(right.document, other + 1)
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch kind {
        case .null: hasher.combine(0)
        case .bool: hasher.combine(bool)
        // Equal numbers are equal as doubles; minus zero is zero.
        case .number: hasher.combine((double ?? 0) + 0)
        case .string: unsafe hasher.combine(bytes: UnsafeRawBufferPointer(document.bytes(index)))
        case .array: for element in elements { element.hash(into: &hasher) }
        case .object:
            // The members' order must not count, so their hashes are added.
            var sum = 0
            for member in members {
                var one = Hasher()
                member.key.hash(into: &one)
                member.value.hash(into: &one)
                sum &+= one.finalize()
            }
            hasher.combine(sum)
        }
    }
}
