internal import CSimdjson
internal import Synchronization

/// A JSON text that was parsed as a whole, for looking into.
///
///     let document = try JSONDocument(parsing: bytes.span.bytes)
///     let campaign = document.root["campaign_id"]?.string
///
/// Parsing is simdjson's; what it leaves is a *tape*: an array of words in the order of the document, where a container
/// knows the word behind its end, so that what is not asked for is skipped in one step. Values are places on the tape,
/// and nothing is made of them until someone asks. The memory of the tape comes from a pool and goes back with the
/// document.
///
/// The text is copied, so it need not outlive the document. It is strict JSON (RFC 8259) in UTF-8; see `JSONFault` for
/// what is refused. Members of the same name are kept all, the first one is found: see `firstDuplicateKey`.
@safe public final class JSONDocument: @unchecked Sendable {
    // Unchecked: nothing that the pointers lead to changes between `init` and `deinit`; `cursor` is atomic.
    private let parser: OpaquePointer
    private let parsed: flotilla_json_parsed
    /// A place on the tape and its mark in the source, packed: where the last search for a place ended, so that looking
    /// for one place after the other costs one walk in all.
    private let cursor = Atomic<UInt64>(0)

    /// Texts above this size are refused before anything is allocated, unless the caller says otherwise.
    public static let defaultLimit = 16 << 20
    /// Containers may be nested so deep.
    public static let depthLimit = 1024

    /// Parses a copy of `text`, which may have `limit` bytes.
    public init(parsing text: RawSpan, limit: Int = JSONDocument.defaultLimit) throws(JSONFault) {
        // Places are kept in 32 bits.
        guard text.byteCount <= min(limit, Int(UInt32.max) / 4) else {
            throw JSONFault(.tooLarge, "the text has \(text.byteCount) bytes, more than the \(limit) allowed")
        }
        guard let parser = unsafe ParserPool.shared.take(for: text.byteCount) else {
            throw JSONFault(.noMemory, "no memory for a text of \(text.byteCount) bytes")
        }
        var parsed = unsafe flotilla_json_parsed()
        let code = unsafe text.withUnsafeBytes { bytes in
            unsafe flotilla_json_parse(
                parser, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, &parsed)
        }
        guard code == 0 else {
            unsafe ParserPool.shared.give(back: parser)
            throw JSONFault(parserCode: code, text: text)
        }
        unsafe self.parser = parser
        unsafe self.parsed = parsed
    }

    public convenience init(parsing text: [UInt8], limit: Int = JSONDocument.defaultLimit) throws(JSONFault) {
        try unsafe self.init(parsing: text.span.bytes, limit: limit)
    }

    public convenience init(parsing text: String, limit: Int = JSONDocument.defaultLimit) throws(JSONFault) {
        try unsafe self.init(parsing: Array(text.utf8).span.bytes, limit: limit)
    }

    deinit { unsafe ParserPool.shared.give(back: parser) }

    /// The value that the text is.
    public var root: JSONValue { JSONValue(self, 1) }

    /// The value at a place that a value of this document had.
    package func value(at place: Int) -> JSONValue {
        precondition(place > 0 && place < wordCount, "no value of this document was there")
        return JSONValue(self, place)
    }

    /// How many words the tape has: what any walk over the document is in proportion to.
    package var wordCount: Int { unsafe Int(parsed.words) }

    // MARK: The tape

    /// The top byte of a word: what stands there.
    enum Tag {
        static let object = UInt8(ascii: "{")
        static let array = UInt8(ascii: "[")
        static let string = UInt8(ascii: "\"")
        static let signed = UInt8(ascii: "l")
        static let unsigned = UInt8(ascii: "u")
        static let double = UInt8(ascii: "d")
        static let isTrue = UInt8(ascii: "t")
        static let isFalse = UInt8(ascii: "f")
        static let null = UInt8(ascii: "n")
    }

    // Every index that reaches these comes from the tape itself or from its root, so it is within bounds.
    @inline(__always) func word(_ index: Int) -> UInt64 { unsafe parsed.tape[index] }
    @inline(__always) func tag(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: word(index) >> 56) }
    @inline(__always) func payload(_ index: Int) -> Int { Int(word(index) & 0x00ff_ffff_ffff_ffff) }

    /// The word behind a value.
    @inline(__always) func next(_ index: Int) -> Int {
        switch tag(index) {
        case Tag.object, Tag.array: payload(index) & 0xffff_ffff
        case Tag.signed, Tag.unsigned, Tag.double: index + 2
        case _: index + 1
        }
    }

    /// The bytes of a string on the tape.
    @inline(__always) func bytes(_ index: Int) -> UnsafeBufferPointer<UInt8> {
        let start = unsafe parsed.strings + payload(index)
        let length = unsafe UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
        return unsafe UnsafeBufferPointer(start: start + 4, count: Int(length))
    }

    // MARK: The source

    /// Lends the text as it came.
    public func withSource<Result, Failure: Error>(
        _ body: (borrowing RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let span = unsafe RawSpan(_unsafeStart: parsed.source, byteCount: parsed.length)
        return try body(span)
    }

    /// Where the value at a place of the tape begins in the source.
    ///
    /// The tape does not say, but the parser's marks are in the same order: each bracket, comma, colon and scalar has
    /// one, and all but commas and colons have a word, numbers two. So both are walked side by side.
    func start(of index: Int) -> Int { unsafe Int(parsed.marks[mark(of: index)]) }

    /// The mark of a place: from the last one that was looked for, forwards or backwards, or from the beginning when that
    /// is nearer. The place of a container's end is not kept: what is looked for next is mostly within it.
    private func mark(of index: Int, isKept: Bool = true) -> Int {
        var (place, mark) = (1, 0)
        let last = cursor.load(ordering: .relaxed)
        if last != 0, Int(last >> 32) <= 2 * index { (place, mark) = (Int(last >> 32), Int(last & 0xffff_ffff)) }
        // Both count marks and words of one document, which are fewer than 32 bits can number: nothing overflows.
        let source: UnsafePointer<UInt8> = unsafe parsed.source
        let marks: UnsafePointer<UInt32> = unsafe parsed.marks
        while place > index {
            mark &-= 1
            place &-= Self.words(unsafe source[Int(marks[mark])])
        }
        while place < index {
            place &+= Self.words(unsafe source[Int(marks[mark])])
            mark &+= 1
        }
        while Self.words(unsafe source[Int(marks[mark])]) == 0 { mark &+= 1 }
        if isKept { cursor.store(UInt64(place) << 32 | UInt64(mark), ordering: .relaxed) }
        return mark
    }

    /// How many words the tape has for a mark, by the byte that is there: none for a comma and a colon, two for a number, one for all else. Added up
    /// without a branch, because nobody could foretell it.
    @inline(__always) private static func words(_ byte: UInt8) -> Int {
        let separator = (byte == UInt8(ascii: ",") ? 1 : 0) | (byte == UInt8(ascii: ":") ? 1 : 0)
        let number = (byte &- UInt8(ascii: "0") < 10 ? 1 : 0) | (byte == UInt8(ascii: "-") ? 1 : 0)
        return 1 &- separator &+ number
    }

    /// The bytes of the source that the value at a place of the tape is written in.
    func sourceRange(of index: Int) -> Range<Int> {
        let start = start(of: index)
        switch tag(index) {
        case Tag.object, Tag.array:
            // Its last word is the closing bracket's; the document's last mark is, when it is the document.
            let last = unsafe index == 1 ? Int(parsed.mark_count) - 1 : mark(of: next(index) - 1, isKept: false)
            return start..<(Int(unsafe parsed.marks[last]) + 1)
        case _: return start..<endOfScalar(start)
        }
    }

    /// Behind the string, number or word that begins there.
    private func endOfScalar(_ start: Int) -> Int {
        var end = start
        guard sourceByte(start) == UInt8(ascii: "\"") else {
            while end < length, !Self.endsScalar(sourceByte(end)) { end += 1 }
            return end
        }
        end += 1
        while end < length, sourceByte(end) != UInt8(ascii: "\"") {
            end += sourceByte(end) == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(end + 1, length)
    }

    /// Where each element of an array is written, found in one walk over the marks of all of them.
    func elementRanges(of index: Int) -> [Range<Int>] {
        guard tag(index) == Tag.array else { return [] }
        let source: UnsafePointer<UInt8> = unsafe parsed.source
        let marks: UnsafePointer<UInt32> = unsafe parsed.marks
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(payload(index) >> 32)
        var (place, mark) = (index + 1, self.mark(of: index) + 1)
        let end = next(index) - 1
        while place < end {
            let start = unsafe Int(marks[mark])
            let isContainer = tag(place) == Tag.object || tag(place) == Tag.array
            let following = next(place)
            // The last mark with a word is the one that a container ends with.
            var last = mark
            while place < following {
                let words = Self.words(unsafe source[Int(marks[mark])])
                if words != 0 { last = mark }
                place &+= words
                mark &+= 1
            }
            ranges.append(start..<(isContainer ? Int(unsafe marks[last]) + 1 : endOfScalar(start)))
            // The comma, or the bracket that ends the array.
            mark &+= 1
        }
        return ranges
    }

    private var length: Int { unsafe Int(parsed.length) }
    private func sourceByte(_ position: Int) -> UInt8 { unsafe parsed.source[position] }

    private static func endsScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: " "), 9, 10, 13: true
        case _: false
        }
    }
}
