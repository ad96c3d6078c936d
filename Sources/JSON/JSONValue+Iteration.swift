extension JSONValue {
    /// The members of an object in their order; none for other kinds.
    public var members: Members {
        document.tag(index) == JSONDocument.Tag.object
            ? Members(document: document, at: index + 1, end: document.next(index) - 1)
            : Members(document: document, at: 0, end: 0)
    }

    /// Lends the members of an object in their order: names and values are good for as long as the call lasts, so that no
    /// reference is counted for them.
    package func forEachMember(_ body: (_ name: borrowing JSONValue, _ value: borrowing JSONValue) -> Void) {
        guard document.tag(index) == JSONDocument.Tag.object else { return }
        let end = document.next(index) - 1
        var at = index + 1
        while at < end {
            body(JSONValue(document, at), JSONValue(document, at + 1))
            at = document.next(at + 1)
        }
    }

    /// The elements of an array; none for other kinds.
    public var elements: Elements {
        document.tag(index) == JSONDocument.Tag.array
            ? Elements(document: document, at: index + 1, end: document.next(index) - 1)
            : Elements(document: document, at: 0, end: 0)
    }

    public struct Members: Sequence, IteratorProtocol, Sendable {
        let document: JSONDocument
        var at: Int
        let end: Int

        public mutating func next() -> Member? {
            guard at < end else { return nil }
            defer { at = document.next(at + 1) }
            return Member(key: JSONValue(document, at), value: JSONValue(document, at + 1))
        }
    }

    public struct Member: Sendable {
        /// The name, as a string value: `withUTF8` reads it without making a `String`.
        public let key: JSONValue
        public let value: JSONValue

        public var name: String { key.string ?? "" }
    }

    public struct Elements: Sequence, IteratorProtocol, Sendable {
        let document: JSONDocument
        var at: Int
        let end: Int

        public mutating func next() -> JSONValue? {
            guard at < end else { return nil }
            defer { at = document.next(at) }
            return JSONValue(document, at)
        }
    }
}

extension JSONValue {
    /// A member's name that an object has twice, as a JSON pointer from this value; nil when every name is there once.
    ///
    /// JSON allows it and every reader makes of it what it likes, so what is signed, checked or compared should not
    /// have it. With `deep` all objects below are looked at too.
    public func firstDuplicateKey(deep: Bool = false) -> String? {
        guard deep else { return duplicateMember().map { "/" + JSONPointer.escaped($0) } }
        // Each object within this value, in the order of the document, so no recursion is needed.
        let end = document.next(index)
        var at = index
        while at < end {
            if document.tag(at) == JSONDocument.Tag.object, let name = JSONValue(document, at).duplicateMember() {
                return (pointer(to: JSONValue(document, at)) ?? "") + "/" + JSONPointer.escaped(name)
            }
            at +=
                document.tag(at) == JSONDocument.Tag.object || document.tag(at) == JSONDocument.Tag.array
                ? 1 : document.next(at) - at
        }
        return nil
    }

    private func duplicateMember() -> String? {
        guard document.tag(index) == JSONDocument.Tag.object else { return nil }
        let end = document.next(index) - 1
        guard count > 24 else {
            // For few members comparing each with each is the fastest, and allocates nothing.
            var at = index + 1
            while at < end {
                var earlier = index + 1
                while earlier < at {
                    if unsafe equal(document.bytes(earlier), document.bytes(at)) {
                        return JSONValue(document, at).string
                    }
                    earlier = document.next(earlier + 1)
                }
                at = document.next(at + 1)
            }
            return nil
        }
        let sorted = sortedMembers()
        for (one, next) in zip(sorted, sorted.dropFirst())
        where unsafe equal(document.bytes(one), document.bytes(next)) {
            return JSONValue(document, one).string
        }
        return nil
    }

    /// The places of an object's names, by their bytes; equal ones in the order of the document.
    func sortedMembers() -> [Int] {
        var places: [Int] = []
        places.reserveCapacity(count)
        let end = document.next(index) - 1
        var at = index + 1
        while at < end {
            places.append(at)
            at = document.next(at + 1)
        }
        places.sort { left, right in
            let (one, other) = unsafe (document.bytes(left), document.bytes(right))
            let order = unsafe compareBytes(one, other)
            return order == 0 ? left < right : order < 0
        }
        return places
    }
}
