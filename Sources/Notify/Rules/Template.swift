internal import Contracts
internal import Flotilla
internal import JSON

/// A text with places: `{{ campaign_id }}`, `{{ data.customer | somebody }}`.
///
/// All that can be wrong with it is found when the rules are read: braces that do not close, names that the rule's events
/// do not have. Later nothing can fail: what an event lacks shows as what stands behind the bar, or as the place itself in
/// parentheses, because a notification with a gap is better than none.
struct Template: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        case text(String)
        case place(path: [String], otherwise: String?)
    }

    private let pieces: [Piece]

    struct Fault: Error, Hashable, Sendable {
        let reason: String
    }

    /// Names whose members are the sender's to choose: `data`, and what a campaign's goals are called.
    private static let open: Set<String> = ["data", "dimensions", "goals"]
    /// A text, and a subject, longer than this is cut.
    static let textLimit = 16 << 10
    static let subjectLimit = 255

    init(_ text: String, names: [String]) throws(Fault) {
        var pieces: [Piece] = []
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            if start.lowerBound > rest.startIndex { pieces.append(.text(String(rest[..<start.lowerBound]))) }
            guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
                throw Fault(reason: "has a {{ that no }} closes")
            }
            pieces.append(try Self.place(rest[start.upperBound..<end.lowerBound], names))
            rest = rest[end.upperBound...]
        }
        if rest.firstRange(of: "}}") != nil { throw Fault(reason: "has a }} that no {{ opens") }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        self.pieces = pieces
    }

    private static func place(_ text: Substring, _ names: [String]) throws(Fault) -> Piece {
        let parts = text.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false).map(trimmed)
        let path = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard let first = path.first, !path.contains("") else {
            throw Fault(reason: "has a place without a name: {{ NAME }}, as {{ campaign_id }}")
        }
        guard names.contains(first) else {
            let hint = first == "user_id" ? "who it was is nobody's business" : Nearest.hint(first, names)
            throw Fault(reason: "has {{ \(parts[0]) }}, which there is not; \(hint)")
        }
        guard open.contains(first) == (path.count > 1) else {
            throw Fault(
                reason: open.contains(first)
                    ? "has {{ \(first) }}, of which one member can be shown: {{ \(first).NAME }}"
                    : "has {{ \(parts[0]) }}, but \(first) has no members")
        }
        return .place(path: path, otherwise: parts.count > 1 ? String(parts[1]) : nil)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first?.isWhitespace == true { text = text.dropFirst() }
        while text.last?.isWhitespace == true { text = text.dropLast() }
        return text
    }

    /// What is shown in its places: what was computed, else what the event has.
    func render(_ computed: [String: String], _ event: JSONValue?, limit: Int = Self.textLimit) -> String {
        var text = ""
        for piece in pieces {
            switch piece {
            case .text(let plain): text += plain
            case .place(let path, let otherwise): text += Self.shown(path, otherwise, computed, event)
            }
            if text.utf8.count > limit { return Self.cut(text, limit) }
        }
        return text
    }

    /// The same as JSON: what is put in stands within the quotes of a text. What is too long is cut there, so that it stays
    /// JSON.
    func renderJSON(_ computed: [String: String], limit: Int = 4 * Self.textLimit) -> String {
        var text = ""
        // What is left for places, beside what the template itself has.
        var room = limit
        for case .text(let plain) in pieces { room -= plain.utf8.count }
        for piece in pieces {
            switch piece {
            case .text(let plain): text += plain
            case .place(let path, let otherwise):
                let shown = Self.escaped(Self.shown(path, otherwise, computed, nil), limit: room)
                room -= shown.utf8.count
                text += shown
            }
        }
        return text
    }

    /// A text between the quotes of one in JSON, cut before it is escaped: behind it, half an escape could be left.
    private static func escaped(_ text: String, limit: Int) -> String {
        func escaped(_ text: String) -> String {
            var writer = JSONWriter()
            writer.append(text)
            return String(writer.text.dropFirst().dropLast())
        }
        let whole = escaped(text)
        guard whole.utf8.count > limit else { return whole }
        // A byte becomes six at most.
        let shorter = max(0, limit) / 6
        return shorter < 3 ? "" : escaped(cut(text, shorter))
    }

    private static func shown(
        _ path: [String], _ otherwise: String?, _ computed: [String: String], _ event: JSONValue?
    ) -> String {
        let found = path.count == 1 ? computed[path[0]] : nil
        return found ?? event?.at(path).flatMap(shown) ?? otherwise ?? "(\(path.joined(separator: ".")))"
    }

    private static func shown(_ value: JSONValue) -> String? {
        switch value.kind {
        // No table takes a zero.
        case .string: value.string.map { $0.replacing("\u{0}", with: "\u{fffd}") }
        case .number: value.numberText
        case .bool: value.bool == true ? "true" : "false"
        case .null, .array, .object: nil
        }
    }

    /// So many bytes of a text at most, and no half character.
    static func cut(_ text: String, _ limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        var kept = ""
        var bytes = 3
        for character in text.unicodeScalars {
            bytes += UTF8.width(character)
            if bytes > limit { break }
            kept.unicodeScalars.append(character)
        }
        return kept + "…"
    }
}
