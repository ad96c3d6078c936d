internal import WebAPI

extension Problem {
    init(_ refusal: EventRefusal) {
        switch refusal.kind {
        case .illegible: self.init(400, "the event cannot be read")
        case .invalid: self.init(422, "the event is not published: see errors")
        case .tooLarge: self.init(413, refusal.text)
        }
        errors = refusal.faults.map { Fault($0) }
    }
}

extension Problem.Fault {
    /// `index`: of a list, which event.
    init(_ fault: EventFault, index: Int? = nil) {
        self.init(fault.detail)
        self.index = index
        switch fault.place {
        case .pointer(let pointer): self.pointer = pointer
        case .header(let name): header = name
        }
    }
}
