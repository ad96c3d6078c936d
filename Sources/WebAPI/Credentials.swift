/// What the edge and the console have in common where they ask who comes.
package enum Credentials {
    private static let longestName = 64

    /// Whether a name can be part of a source, of an audit and of a line of a file.
    package static func isName(_ text: String) -> Bool {
        (1...longestName).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                case _: false
                }
            }
    }

    /// A name for whoever others call so: what no name has is percent-encoded. Nil for nothing, and for what is too long.
    package static func name(for text: String) -> String? {
        let name = text.utf8.reduce(into: "") { name, byte in
            let character = String(decoding: [byte], as: UTF8.self)
            if isName(character) { return name += character }
            let digits = String(byte, radix: 16, uppercase: true)
            name += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
        }
        return (1...longestName).contains(name.utf8.count) ? name : nil
    }

    /// Whether it is a name, or one that `name(for:)` has made.
    package static func isNameForAny(_ text: String) -> Bool {
        text.percentDecoded.flatMap { name(for: $0) } == text
    }

    /// Whether only this machine can reach a host.
    package static func isLoopback(_ host: String) -> Bool {
        // A name may begin with these digits too.
        host == "localhost" || host == "::1"
            || host.hasPrefix("127.") && host.utf8.allSatisfy { $0 == 0x2e || (0x30...0x39).contains($0) }
    }

    /// So many times 64 random bits, in hexadecimal digits.
    package static func randomDigits(words: Int) -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<words).map { _ in
            let text = String(random.next(), radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }

    /// What hexadecimal digits stand for; nil when they are none.
    package static func bytes(hex text: String) -> [UInt8]? {
        guard text.utf8.count % 2 == 0 else { return nil }
        var (bytes, high): ([UInt8], UInt8?) = ([], nil)
        for character in text {
            guard character.isASCII, let digit = character.hexDigitValue.map({ UInt8($0) }) else { return nil }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return bytes
    }
}
