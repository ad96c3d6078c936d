internal import JSON

/// A body as it may be shown: what of it is personal is not, unless somebody asked for it who may.
package enum BodyView: Sendable, Hashable {
    /// Indented, with the members in their order.
    case json(String)
    case text(String)
    /// Sixteen bytes a line, as a number of them and as characters.
    case binary(String, count: Int)
    case hidden(Reason)
    case none

    /// Why something is not shown; as a text with what the command line can do about it.
    package enum Reason: Sendable, Hashable, CustomStringConvertible {
        case noTopicFile, noJSON
        case tooLarge(bytes: Int)

        package var words: String {
            switch self {
            case .noTopicFile: "no topic file says what of it is personal"
            case .noJSON: "it is no JSON, so nobody can tell what of it is personal"
            case .tooLarge(let bytes): "it has \(bytes) bytes, too many to look in them for what is personal"
            }
        }

        package var description: String {
            switch self {
            case .noTopicFile: "\(words): set FLOTILLA_TOPICS to the folder that has one, or say --unmasked"
            case .noJSON, .tooLarge: "\(words): say --unmasked to see it"
            }
        }
    }

    /// What is shown in the place of what is personal.
    static let mask = "(masked)"
    package static let binaryLimit = 4096
    /// What is larger is not taken apart for somebody who sees a part of it: that takes many times its size.
    private static let mostParsed = 2 << 20

    /// `personal`: where the topic file says that personal data is; nil when there is no file to say it. `limit`: no more
    /// than a little over so many bytes of text are made, for whoever shows only the beginning.
    package init(_ value: [UInt8]?, personal: [String]?, unmasked: Bool, limit: Int = .max) {
        guard var value else {
            self = .none
            return
        }
        let count = value.count
        let pointers = unmasked ? [] : personal
        guard let pointers else {
            self = .hidden(.noTopicFile)
            return
        }
        let isTooLarge = limit < .max && count > Self.mostParsed
        if !isTooLarge, let root = try? JSONDocument(parsing: value).root {
            var printer = PrettyPrinter(limit: limit)
            printer.write(root, pointers.compactMap { JSONPointer.parse($0).map { $0[...] } }, indent: "")
            self = .json(printer.text)
            return
        }
        if isTooLarge, !pointers.isEmpty {
            self = .hidden(.tooLarge(bytes: count))
            return
        }
        if count > limit { value = Self.beginning(of: value, bytes: limit) }
        if !pointers.isEmpty {
            self = .hidden(.noJSON)
        } else if let text = String(validating: value, as: UTF8.self), Self.isReadable(text) {
            self = .text(text)
        } else {
            self = .binary(Self.dump(value.prefix(Self.binaryLimit)), count: count)
        }
    }

    /// A little more than so many bytes, not ending within a character.
    private static func beginning(of value: [UInt8], bytes: Int) -> [UInt8] {
        var end = min(value.count, bytes + 4)
        while end > bytes, end < value.count, value[end] & 0xc0 == 0x80 { end -= 1 }
        return Array(value[..<end])
    }

    private static func isReadable(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f || "\n\r\t".unicodeScalars.contains($0) }
    }

    private static func dump(_ bytes: ArraySlice<UInt8>) -> String {
        stride(from: bytes.startIndex, to: bytes.endIndex, by: 16).map { start in
            let line = bytes[start..<min(start + 16, bytes.endIndex)]
            let numbers = line.map { hex(UInt64($0), digits: 2) }.joined(separator: " ")
            let space = String(repeating: " ", count: 48 - numbers.utf8.count)
            let characters = line.map { 0x20..<0x7f ~= $0 ? Character(Unicode.Scalar($0)) : "." }
            return "\(hex(UInt64(start), digits: 8))  \(numbers)\(space) \(String(characters))"
        }.joined(separator: "\n")
    }

    private static func hex(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}

/// JSON for people, as far as the limit. The depth of what is parsed is bounded by its parser.
private struct PrettyPrinter {
    private(set) var text = ""
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    private var isFull: Bool { text.utf8.count > limit }

    /// `personal`: what is left of the pointers that lead through here.
    mutating func write(_ value: JSONValue, _ personal: [ArraySlice<String>], indent: String) {
        guard !personal.contains(where: \.isEmpty) else { return append("\"\(BodyView.mask)\"") }
        // What is nested deeper is not indented further: spaces alone would be many times the body.
        let inner = indent.utf8.count < 32 ? indent + "  " : indent
        switch value.kind {
        case .object:
            var isFirst = true
            for member in value.members {
                guard !isFull else { return }
                append(isFirst ? "{\n" + inner : ",\n" + inner)
                isFirst = false
                append(Self.quoted(member.name) + ": ")
                write(member.value, Self.below(member.name, personal), indent: inner)
            }
            append(isFirst ? "{}" : "\n\(indent)}")
        case .array:
            var count = 0
            for element in value.elements {
                guard !isFull else { return }
                append(count == 0 ? "[\n" + inner : ",\n" + inner)
                write(element, Self.below("\(count)", personal), indent: inner)
                count += 1
            }
            append(count == 0 ? "[]" : "\n\(indent)]")
        case .string: append(Self.quoted(value.string ?? ""))
        case .number, .bool, .null:
            var writer = JSONWriter()
            writer.append(value)
            append(writer.text)
        }
    }

    private mutating func append(_ piece: String) { if !isFull { text += piece } }

    private static func below(_ name: String, _ personal: [ArraySlice<String>]) -> [ArraySlice<String>] {
        personal.filter { $0.first == name }.map { $0.dropFirst() }
    }

    private static func quoted(_ text: String) -> String {
        var writer = JSONWriter()
        writer.append(text)
        return writer.text
    }
}
