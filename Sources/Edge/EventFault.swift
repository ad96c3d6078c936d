internal import JSON

/// Something in an event, or in its headers, that cannot be. Its words repeat names that a stranger chose, so they are cut:
/// a small request may have a thousand faults, each about a name of a hundred thousand bytes.
struct EventFault: Hashable, Sendable {
    /// Where: a JSON pointer into the body, or the name of a header.
    enum Place: Hashable, Sendable {
        case pointer(String)
        case header(String)

        fileprivate var cut: Place {
            switch self {
            case .pointer(let pointer): .pointer(pointer.cut(to: EventFault.longest))
            case .header(let name): .header(name.cut(to: EventFault.longest))
            }
        }
    }

    var place: Place { didSet { place = place.cut } }
    /// Completes the sentence that the place begins: `must be a string`.
    let detail: String

    fileprivate static let longest = 255

    init(_ pointer: String, _ detail: String) {
        place = Place.pointer(pointer).cut
        self.detail = detail.cut(to: Self.longest)
    }

    init(header: String, _ detail: String) {
        place = Place.header(header).cut
        self.detail = detail.cut(to: Self.longest)
    }

    /// The same within something larger.
    func within(_ prefix: String) -> EventFault {
        guard case .pointer(let pointer) = place else { return self }
        return EventFault(prefix + pointer, detail)
    }

    var text: String {
        switch place {
        case .pointer(""): detail
        case .pointer(let pointer): "\(pointer) \(detail)"
        case .header(let name): "the header \(name) \(detail)"
        }
    }
}

/// Why an event is not published.
struct EventRefusal: Error, Sendable {
    enum Kind: Sendable {
        /// It cannot be read: 400.
        case illegible
        /// It can be read, and is no event, or not one of this topic: 422.
        case invalid
        /// 413.
        case tooLarge
    }

    let kind: Kind
    /// At least one.
    var faults: [EventFault]

    init(_ kind: Kind, _ faults: [EventFault]) {
        self.kind = kind
        self.faults = faults
    }

    init(_ kind: Kind, _ pointer: String, _ detail: String) { self.init(kind, [EventFault(pointer, detail)]) }

    init(_ fault: JSONFault) {
        switch fault.kind {
        case .tooLarge: self.init(.tooLarge, "", fault.description)
        case .syntax, .encoding, .numberRange, .tooDeep, .noMemory, .mismatch:
            self.init(.illegible, "", "is not JSON that can be read: \(fault)")
        }
    }

    /// All in one line, for lists.
    var text: String { faults.map(\.text).joined(separator: "; ").cut(to: 4 * EventFault.longest) }
}

extension String {
    /// Its first so many bytes, cut before the character that does not fit.
    fileprivate func cut(to limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var bytes = Array(utf8.prefix(limit))
        while let last = bytes.popLast() {
            // What begins a character, or is one.
            if last & 0xc0 != 0x80 {
                if last < 0x80 { bytes.append(last) }
                break
            }
        }
        return String(decoding: bytes, as: UTF8.self) + "…"
    }
}
