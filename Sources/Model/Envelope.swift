/// Where the attributes of an envelope are among a record's headers: -1 for those that are not there.
///
/// Found in one pass over the headers and told by length and bytes, because this is done for every record.
struct Envelope: Sendable {
    private(set) var id: Int16 = -1
    private(set) var source: Int16 = -1
    private(set) var type: Int16 = -1
    private(set) var time: Int16 = -1
    private(set) var subject: Int16 = -1
    private(set) var dataSchema: Int16 = -1
    private(set) var contentType: Int16 = -1
    private(set) var traceParent: Int16 = -1
    private var version: Int16 = -1

    /// What the edge allows for an attribute; more is not read either.
    static let longest = 1024

    init(_ record: Record) throws(EnvelopeFault) {
        guard record.headerCount <= Int(Int16.max) else { throw EnvelopeFault("the record has too many headers") }
        for index in 0..<record.headerCount {
            let place = Int16(truncatingIfNeeded: index)
            switch record.headerNameCount(at: index) {
            case 5: try note(&id, "ce_id", place, record)
            case 7:
                try note(&type, "ce_type", place, record)
                try note(&time, "ce_time", place, record)
            case 9: try note(&source, "ce_source", place, record)
            case 10: try note(&subject, "ce_subject", place, record)
            // Not the event's own: a damaged one costs the trace, never the event.
            case 11 where record.headerName(at: index, is: "traceparent"):
                if let value = record.headerValue(at: index), value.byteCount == 55, value.isText {
                    traceParent = place
                }
            case 12: try note(&contentType, "content-type", place, record)
            case 13: try note(&dataSchema, "ce_dataschema", place, record)
            case 14: try note(&version, "ce_specversion", place, record)
            case _: break
            }
        }
        try require(id, "ce_id", record)
        try require(source, "ce_source", record)
        try require(type, "ce_type", record)
        if version >= 0, let value = record.headerValue(at: Int(version)), !value.isVersion1 {
            throw EnvelopeFault("the header ce_specversion is not 1.0")
        }
    }

    /// Notes where an attribute is. Twice is a fault: whoever reads the first and whoever reads the last would
    /// disagree about what the event is.
    private func note(
        _ attribute: inout Int16, _ name: StaticString, _ index: Int16, _ record: Record
    ) throws(EnvelopeFault) {
        guard record.headerName(at: Int(index), is: name) else { return }
        guard attribute < 0 else { throw EnvelopeFault("the header \(name) occurs twice") }
        guard let value = record.headerValue(at: Int(index)) else {
            throw EnvelopeFault("the header \(name) is null")
        }
        guard value.byteCount <= Self.longest else {
            throw EnvelopeFault("the header \(name) has more than \(Self.longest) bytes")
        }
        guard value.isText else { throw EnvelopeFault("the header \(name) is not UTF-8 text") }
        attribute = index
    }

    private func require(_ attribute: Int16, _ name: StaticString, _ record: Record) throws(EnvelopeFault) {
        guard attribute >= 0 else { throw EnvelopeFault("the header \(name) is missing") }
        guard let value = record.headerValue(at: Int(attribute)), !value.isEmpty else {
            throw EnvelopeFault("the header \(name) is empty")
        }
    }
}

extension Record {
    func headerNameCount(at index: Int) -> Int { nameSpan(at: index).byteCount }

    func headerName(at index: Int, is name: StaticString) -> Bool {
        let span = nameSpan(at: index)
        guard span.byteCount == name.utf8CodeUnitCount else { return false }
        return unsafe span.withUnsafeBytes { bytes in
            unsafe bytes.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
    }
}

extension RawSpan {
    fileprivate var isVersion1: Bool { unsafe withUnsafeBytes { unsafe $0.elementsEqual("1.0".utf8) } }

    /// Whether this is UTF-8 without a NUL byte.
    var isText: Bool {
        unsafe withUnsafeBytes { bytes in
            if unsafe bytes.allSatisfy({ $0 < 0x80 && $0 != 0 }) { return true }
            return unsafe !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
        }
    }
}
