internal import JSON

/// Something in an event, or in its headers, that cannot be.
struct EventFault: Hashable, Sendable {
    /// Where: a JSON pointer into the body, or the name of a header.
    enum Place: Hashable, Sendable {
        case pointer(String)
        case header(String)
    }

    var place: Place
    /// Completes the sentence that the place begins: `must be a string`.
    let detail: String

    init(_ pointer: String, _ detail: String) {
        place = .pointer(pointer)
        self.detail = detail
    }

    init(header: String, _ detail: String) {
        place = .header(header)
        self.detail = detail
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
    var text: String { faults.map(\.text).joined(separator: "; ") }
}
