/// A value in a document: a place to look from. Copying one costs a reference to the document, which it keeps alive.
public struct JSONValue: Sendable {
    public let document: JSONDocument
    /// Its word on the tape.
    let index: Int

    @inline(__always) init(_ document: JSONDocument, _ index: Int) {
        self.document = document
        self.index = index
    }

    /// Where it stands in its document, which costs nothing to keep: `document.value(at:)` makes the value of it again.
    package var place: Int { index }

    public enum Kind: String, Hashable, Sendable, CaseIterable { case null, bool, number, string, array, object }

    public var kind: Kind {
        switch document.tag(index) {
        case JSONDocument.Tag.object: .object
        case JSONDocument.Tag.array: .array
        case JSONDocument.Tag.string: .string
        case JSONDocument.Tag.isTrue, JSONDocument.Tag.isFalse: .bool
        case JSONDocument.Tag.null: .null
        case _: .number
        }
    }

    // MARK: Scalars. Each is nil when the value is of another kind.

    public var isNull: Bool { document.tag(index) == JSONDocument.Tag.null }

    public var bool: Bool? {
        switch document.tag(index) {
        case JSONDocument.Tag.isTrue: true
        case JSONDocument.Tag.isFalse: false
        case _: nil
        }
    }

    public var string: String? {
        guard document.tag(index) == JSONDocument.Tag.string else { return nil }
        // The parser has checked the text, so this repairs nothing.
        return unsafe String(decoding: document.bytes(index), as: UTF8.self)
    }

    /// Lends a string's bytes, unescaped; nil for other kinds.
    @inline(__always) public func withUTF8<Result, Failure: Error>(
        _ body: (borrowing Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard document.tag(index) == JSONDocument.Tag.string else { return nil }
        let span = unsafe Span(_unsafeElements: document.bytes(index))
        return try body(span)
    }

    /// Whether this is a string of exactly these bytes.
    public func isString(_ text: StaticString) -> Bool {
        guard document.tag(index) == JSONDocument.Tag.string else { return false }
        let bytes = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return unsafe equal(document.bytes(index), bytes)
    }

    /// A whole number that is written without fraction and exponent, within 64 bits.
    public var int64: Int64? {
        switch document.tag(index) {
        case JSONDocument.Tag.signed: Int64(bitPattern: document.word(index + 1))
        // The parser uses this kind only beyond what is signed.
        case _: nil
        }
    }

    public var uint64: UInt64? {
        switch document.tag(index) {
        case JSONDocument.Tag.unsigned: document.word(index + 1)
        case JSONDocument.Tag.signed: UInt64(exactly: Int64(bitPattern: document.word(index + 1)))
        case _: nil
        }
    }

    /// Any number, as near as a `Double` comes to it.
    public var double: Double? {
        switch document.tag(index) {
        case JSONDocument.Tag.double: Double(bitPattern: document.word(index + 1))
        case JSONDocument.Tag.signed: Double(Int64(bitPattern: document.word(index + 1)))
        case JSONDocument.Tag.unsigned: Double(document.word(index + 1))
        case _: nil
        }
    }

    /// Whether this is a number with a fraction or an exponent, kept as a `Double`.
    package var isDouble: Bool { document.tag(index) == JSONDocument.Tag.double }

    // MARK: Containers

    /// The number of members or elements; 0 for scalars.
    public var count: Int {
        switch document.tag(index) {
        case JSONDocument.Tag.object, JSONDocument.Tag.array: break
        case _: return 0
        }
        let kept = document.payload(index) >> 32
        // The word has 24 bits for it; beyond them only counting helps.
        if kept < 0xff_ffff { return kept }
        return kind == .array
            ? elements.reduce(0) { count, _ in count + 1 } : members.reduce(0) { count, _ in count + 1 }
    }

    /// The first member of this name; nil when there is none, or this is no object.
    public subscript(name: String) -> JSONValue? {
        var name = name
        return name.withUTF8 { unsafe member($0) }
    }

    /// As above, for a name that is kept as bytes.
    package func member(_ name: [UInt8]) -> JSONValue? {
        unsafe name.withUnsafeBufferPointer { unsafe member($0) }
    }

    @inline(__always) private func member(_ name: UnsafeBufferPointer<UInt8>) -> JSONValue? {
        guard document.tag(index) == JSONDocument.Tag.object else { return nil }
        let end = document.next(index) - 1
        var at = index + 1
        while at < end {
            if unsafe equal(document.bytes(at), name) { return JSONValue(document, at + 1) }
            at = document.next(at + 1)
        }
        return nil
    }

    /// The element at a position; nil when there is none, or this is no array.
    public subscript(position: Int) -> JSONValue? {
        guard document.tag(index) == JSONDocument.Tag.array, position >= 0 else { return nil }
        let end = document.next(index) - 1
        var (at, left) = (index + 1, position)
        while at < end {
            if left == 0 { return JSONValue(document, at) }
            left -= 1
            at = document.next(at)
        }
        return nil
    }

    /// Where in the document's text this value is written.
    package var sourceRange: Range<Int> { document.sourceRange(of: index) }

    /// Where each element of an array is written; none for other kinds.
    package var elementRanges: [Range<Int>] { document.elementRanges(of: index) }

    /// The bytes of the document that this value is written in, as it came.
    public func withSource<Result, Failure: Error>(
        _ body: (borrowing RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let range = document.sourceRange(of: index)
        return try document.withSource { source throws(Failure) in try body(source.extracting(range)) }
    }
}

@inline(__always)
func equal(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    guard let (one, other) = unsafe both(left.baseAddress, right.baseAddress) else { return true }
    // Most names differ at once.
    return unsafe left.isEmpty || one.pointee == other.pointee && compare(one, other, left.count) == 0
}

@inline(__always)
private func both<One, Other>(_ one: One?, _ other: Other?) -> (One, Other)? {
    guard let one, let other else { return nil }
    return (one, other)
}
