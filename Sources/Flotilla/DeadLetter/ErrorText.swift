/// What errors say, made fit for headers.
package enum ErrorText {
    /// One line of at most so many bytes, cut between characters; control characters become spaces.
    package static func line(_ text: String, bytes: Int) -> String {
        cut(text, bytes: bytes) { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
    }

    /// The same with its line breaks.
    package static func text(_ text: String, bytes: Int) -> String {
        cut(text, bytes: bytes) { ($0.value < 0x20 && $0 != "\n") || $0.value == 0x7f ? " " : $0 }
    }

    private static func cut(
        _ text: String, bytes: Int, _ change: (Unicode.Scalar) -> Unicode.Scalar
    ) -> String {
        var kept = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            let changed = change(scalar)
            count += UTF8.width(changed)
            guard count <= bytes else { break }
            kept.append(changed)
        }
        return String(kept)
    }

    /// The words that the same error always has: every run of letters and digits with a digit in it becomes `#`, so that
    /// numbers and ids do not tell one trouble from itself.
    package static func withoutNumbers(_ text: String) -> String {
        var result = ""
        var word = ""
        var hasDigit = false
        func end() {
            result += hasDigit ? "#" : word
            word = ""
            hasDigit = false
        }
        for character in text.unicodeScalars.prefix(1024) {
            if character.properties.isAlphabetic || ("0"..."9").contains(character) || character == "_" {
                word.unicodeScalars.append(character)
                if ("0"..."9").contains(character) { hasDigit = true }
            } else if character == "-", hasDigit {
                // UUIDs hang together.
                word.unicodeScalars.append(character)
            } else {
                end()
                result.unicodeScalars.append(character)
            }
        }
        end()
        return result
    }
}
