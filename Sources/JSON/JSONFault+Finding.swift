extension JSONFault {
    /// The first thing that is wrong with a text; nil when nothing is found.
    static func find(in text: borrowing RawSpan) -> JSONFault? {
        var finder = Finder(text: copy text)
        do throws(JSONFault) {
            try finder.document()
            return nil
        } catch { return error }
    }

    /// A strict reader of JSON that makes nothing of it. Containers are on a stack of its own: a text cannot exhaust the
    /// thread's.
    private struct Finder: ~Escapable {
        let text: RawSpan
        var at = 0
        /// For each open container: whether it is an object.
        var open: [Bool] = []

        @_lifetime(copy text)
        init(text: RawSpan) { self.text = text }

        var byte: UInt8? { at < text.byteCount ? unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self) : nil }

        func wrong(_ reason: String, _ kind: Kind = .syntax, at offset: Int? = nil) -> JSONFault {
            JSONFault(kind, reason, offset: offset ?? at)
        }

        @_lifetime(self: copy self)
        mutating func document() throws(JSONFault) {
            if byte == 0xef { throw wrong("a byte order mark, which JSON must not begin with", .encoding) }
            skipSpace()
            if byte == nil { throw wrong("the text is empty") }
            var isDone = false
            while !isDone {
                try value()
                // A value has ended, unless a container was opened: then its first value is next.
                isDone = try afterValue()
            }
            skipSpace()
            if byte != nil { throw wrong("something follows the value") }
        }

        /// Reads a scalar, or opens a container; empty ones are closed at once.
        @_lifetime(self: copy self)
        private mutating func value() throws(JSONFault) {
            while true {
                skipSpace()
                guard let first = byte else { throw wrong("the text ends where a value is expected") }
                switch first {
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    guard open.count < JSONDocument.depthLimit - 1 else {
                        throw wrong("nested deeper than \(JSONDocument.depthLimit)", .tooDeep)
                    }
                    let isObject = first == UInt8(ascii: "{")
                    at += 1
                    skipSpace()
                    if byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                        at += 1
                        return
                    }
                    open.append(isObject)
                    if isObject { try name() }
                case UInt8(ascii: "\""): return try string()
                case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
                case UInt8(ascii: "t"): return try word("true")
                case UInt8(ascii: "f"): return try word("false")
                case UInt8(ascii: "n"): return try word("null")
                case 0: throw wrong("a zero byte")
                case 0x80...: throw wrong("not a value, and not ASCII")
                case _: throw wrong("a value cannot begin with \(String(UnicodeScalar(first)).debugDescription)")
                }
            }
        }

        /// Closes what ends here; true when the document has ended.
        @_lifetime(self: copy self)
        private mutating func afterValue() throws(JSONFault) -> Bool {
            while let isObject = open.last {
                skipSpace()
                let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
                switch byte {
                case UInt8(ascii: ","):
                    at += 1
                    if isObject { try name() }
                    return false
                case end:
                    at += 1
                    open.removeLast()
                case nil: throw wrong("the text ends within \(isObject ? "an object" : "an array")")
                case _: throw wrong("expected a comma or the end of \(isObject ? "the object" : "the array")")
                }
            }
            return true
        }

        @_lifetime(self: copy self)
        private mutating func name() throws(JSONFault) {
            skipSpace()
            guard byte == UInt8(ascii: "\"") else { throw wrong("expected a member's name in double quotes") }
            try string()
            skipSpace()
            guard byte == UInt8(ascii: ":") else { throw wrong("expected a colon after the member's name") }
            at += 1
        }

        @_lifetime(self: copy self)
        private mutating func word(_ word: StaticString) throws(JSONFault) {
            let start = at
            for index in 0..<word.utf8CodeUnitCount {
                guard byte == (unsafe word.utf8Start[index]) else { throw wrong("expected \(word)", at: start) }
                at += 1
            }
            try endOfScalar(start, "expected \(word)")
        }

        private func endOfScalar(_ start: Int, _ reason: String) throws(JSONFault) {
            switch byte {
            case nil, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: ":"), 32, 9, 10, 13: return
            case _: throw wrong(reason, at: start)
            }
        }

        @_lifetime(self: copy self)
        private mutating func skipSpace() {
            while let byte, byte == 32 || byte == 9 || byte == 10 || byte == 13 { at += 1 }
        }

        @_lifetime(self: copy self)
        private mutating func digits() -> Int {
            let start = at
            while let byte, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
            return at - start
        }

        @_lifetime(self: copy self)
        private mutating func number() throws(JSONFault) {
            let start = at
            if byte == UInt8(ascii: "-") { at += 1 }
            let leading = byte
            let count = digits()
            if count == 0 { throw wrong("a minus without a number", at: start) }
            if leading == UInt8(ascii: "0"), count > 1 { throw wrong("a number with a leading zero", at: start) }
            var isWhole = true
            if byte == UInt8(ascii: ".") {
                at += 1
                isWhole = false
                if digits() == 0 { throw wrong("a number without digits after its point", at: start) }
            }
            if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
                at += 1
                isWhole = false
                if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { at += 1 }
                if digits() == 0 { throw wrong("a number without digits in its exponent", at: start) }
            }
            try endOfScalar(start, "a number that does not end")
            let token = (start..<at).map { unsafe text.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
            let digits = String(decoding: token, as: UTF8.self)
            let fits =
                isWhole
                ? Int64(digits) != nil || UInt64(digits) != nil : Double(digits).map { $0.isFinite } ?? false
            if !fits { throw wrong("a number beyond what 64 bits can hold", .numberRange, at: start) }
        }

        @_lifetime(self: copy self)
        private mutating func string() throws(JSONFault) {
            let start = at
            at += 1
            while let byte {
                switch byte {
                case UInt8(ascii: "\""):
                    at += 1
                    return
                case UInt8(ascii: "\\"): try escape()
                case 0..<0x20: throw wrong("a control character in a string: write it as an escape")
                case 0x80...: try character()
                case _: at += 1
                }
            }
            throw wrong("a string that does not end", at: start)
        }

        @_lifetime(self: copy self)
        private mutating func escape() throws(JSONFault) {
            let start = at
            at += 1
            switch byte {
            case nil: throw wrong("a string that does not end", at: start)
            case UInt8(ascii: "u"):
                let first = try unit(start)
                if (0xdc00...0xdfff).contains(first) { throw wrong("half of a surrogate pair", .encoding, at: start) }
                guard (0xd800...0xdbff).contains(first) else { return }
                guard byte == UInt8(ascii: "\\"), at + 1 < text.byteCount,
                    unsafe text.unsafeLoad(fromByteOffset: at + 1, as: UInt8.self) == UInt8(ascii: "u")
                else { throw wrong("half of a surrogate pair", .encoding, at: start) }
                at += 1
                guard (0xdc00...0xdfff).contains(try unit(start)) else {
                    throw wrong("half of a surrogate pair", .encoding, at: start)
                }
            case .some(let letter):
                let known: [UInt8] = Array("\"\\/bfnrt".utf8)
                guard known.contains(letter) else { throw wrong("an escape that JSON does not have", at: start) }
                at += 1
            }
        }

        /// The four digits behind `\u`.
        @_lifetime(self: copy self)
        private mutating func unit(_ start: Int) throws(JSONFault) -> Int {
            at += 1
            var value = 0
            for _ in 0..<4 {
                guard let byte, let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else {
                    throw wrong("\\u needs four hexadecimal digits", at: start)
                }
                value = value * 16 + digit
                at += 1
            }
            return value
        }

        /// A character of several bytes, as UTF-8 allows it: no longer than needed, no surrogate, within Unicode.
        @_lifetime(self: copy self)
        private mutating func character() throws(JSONFault) {
            let start = at
            guard let first = byte else { return }
            let (count, lowest, highest): (Int, UInt8, UInt8)
            switch first {
            case 0xc2...0xdf: (count, lowest, highest) = (1, 0x80, 0xbf)
            case 0xe0: (count, lowest, highest) = (2, 0xa0, 0xbf)
            case 0xed: (count, lowest, highest) = (2, 0x80, 0x9f)
            case 0xe1...0xef: (count, lowest, highest) = (2, 0x80, 0xbf)
            case 0xf0: (count, lowest, highest) = (3, 0x90, 0xbf)
            case 0xf4: (count, lowest, highest) = (3, 0x80, 0x8f)
            case 0xf1...0xf3: (count, lowest, highest) = (3, 0x80, 0xbf)
            case _: throw wrong("not UTF-8", .encoding)
            }
            at += 1
            for position in 0..<count {
                let range = position == 0 ? lowest...highest : 0x80...0xbf
                guard let byte, range.contains(byte) else { throw wrong("not UTF-8", .encoding, at: start) }
                at += 1
            }
        }
    }
}
