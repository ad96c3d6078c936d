internal import Glibc

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
        var place: Int16 = -1
        for header in record.headerEntries {
            let name = record.name(of: header)
            place += 1
            switch name.byteCount {
            case 5 where name.equals("ce_id"):
                try note(&id, "ce_id", place, record.value(of: header), mayBeEmpty: false)
            case 7 where name.equals("ce_type"):
                try note(&type, "ce_type", place, record.value(of: header), mayBeEmpty: false)
            case 7 where name.equals("ce_time"): try note(&time, "ce_time", place, record.value(of: header))
            case 9 where name.equals("ce_source"):
                try note(&source, "ce_source", place, record.value(of: header), mayBeEmpty: false)
            case 10 where name.equals("ce_subject"): try note(&subject, "ce_subject", place, record.value(of: header))
            // Not the event's own: a damaged one costs the trace, never the event.
            case 11 where name.equals("traceparent"):
                if let value = record.value(of: header), value.byteCount == 55, value.isText { traceParent = place }
            case 12 where name.equals("content-type"):
                try note(&contentType, "content-type", place, record.value(of: header))
            case 13 where name.equals("ce_dataschema"):
                try note(&dataSchema, "ce_dataschema", place, record.value(of: header))
            case 14 where name.equals("ce_specversion"):
                try note(&version, "ce_specversion", place, record.value(of: header))
            case _: break
            }
        }
        try require(id, "ce_id")
        try require(source, "ce_source")
        try require(type, "ce_type")
        if version >= 0, let value = record.headerValue(at: Int(version)), !value.equals("1.0") {
            throw EnvelopeFault("the header ce_specversion is not 1.0")
        }
    }

    /// Notes where an attribute is. Twice is a fault: whoever reads the first and whoever reads the last would
    /// disagree about what the event is.
    private func note(
        _ attribute: inout Int16, _ name: StaticString, _ index: Int16, _ value: RawSpan?, mayBeEmpty: Bool = true
    ) throws(EnvelopeFault) {
        guard attribute < 0 else { throw EnvelopeFault("the header \(name) occurs twice") }
        guard let value else { throw EnvelopeFault("the header \(name) is null") }
        guard value.byteCount <= Self.longest else {
            throw EnvelopeFault("the header \(name) has more than \(Self.longest) bytes")
        }
        guard mayBeEmpty || !value.isEmpty else { throw EnvelopeFault("the header \(name) is empty") }
        guard value.isText else { throw EnvelopeFault("the header \(name) is not UTF-8 text") }
        attribute = index
    }

    private func require(_ attribute: Int16, _ name: StaticString) throws(EnvelopeFault) {
        guard attribute >= 0 else { throw EnvelopeFault("the header \(name) is missing") }
    }
}

extension RawSpan {
    /// By memcmp(3), which the compiler turns into a comparison or two: one byte after the other costs ten times that.
    @inline(__always) fileprivate func equals(_ text: StaticString) -> Bool {
        guard byteCount == text.utf8CodeUnitCount else { return false }
        return unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return byteCount == 0 }
            return unsafe memcmp(base, text.utf8Start, text.utf8CodeUnitCount) == 0
        }
    }

    /// Whether this is UTF-8 without a NUL byte.
    var isText: Bool {
        if isPlainText { return true }
        return unsafe withUnsafeBytes { bytes in
            unsafe !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
        }
    }

    /// Whether this is ASCII without a NUL byte, told eight bytes at a time.
    private var isPlainText: Bool {
        let (lowest, highest): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x8080_8080_8080_8080)
        var at = 0
        while at + 8 <= byteCount {
            let word = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt64.self)
            // Of a byte that is zero the subtraction borrows, of one that is not ASCII the highest bit is set.
            guard (word | (word &- lowest)) & highest == 0 else { return false }
            at += 8
        }
        while at < byteCount {
            let byte = unsafe unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self)
            guard byte != 0, byte < 0x80 else { return false }
            at += 1
        }
        return true
    }
}
