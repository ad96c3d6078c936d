/// Bytes in the wire format of Protocol Buffers, as far as OTLP needs it.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func add(_ field: Int, text: String) {
        tag(field, 2)
        var text = text
        text.withUTF8 { utf8 in
            varint(UInt64(utf8.count))
            unsafe bytes.append(contentsOf: utf8)
        }
    }

    mutating func add(_ field: Int, bytes content: [UInt8]) {
        tag(field, 2)
        varint(UInt64(content.count))
        bytes += content
    }

    /// The big-endian bytes of identifiers.
    mutating func add(_ field: Int, identifier parts: UInt64...) {
        tag(field, 2)
        varint(UInt64(8 * parts.count))
        for part in parts {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: part >> UInt64(shift)))
            }
        }
    }

    mutating func add(_ field: Int, number: UInt64) {
        tag(field, 0)
        varint(number)
    }

    mutating func add(_ field: Int, fixed64 number: UInt64) {
        tag(field, 1)
        for shift in stride(from: 0, through: 56, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
        }
    }

    mutating func add(_ field: Int, fixed32 number: UInt32) {
        tag(field, 5)
        for shift in stride(from: 0, through: 24, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(shift)))
        }
    }

    /// A message within this one.
    mutating func add(_ field: Int, _ body: (inout ProtobufWriter) -> Void) {
        tag(field, 2)
        let start = bytes.count
        // Mostly one byte of length is enough; what is longer moves its content.
        bytes.append(0)
        body(&self)
        let length = bytes.count - start - 1
        if length < 128 {
            bytes[start] = UInt8(length)
        } else {
            var rest = UInt64(length)
            var prefix: [UInt8] = []
            while rest >= 128 {
                prefix.append(UInt8(truncatingIfNeeded: rest) | 128)
                rest >>= 7
            }
            prefix.append(UInt8(rest))
            bytes.replaceSubrange(start...start, with: prefix)
        }
    }

    private mutating func tag(_ field: Int, _ kind: UInt64) { varint(UInt64(field) << 3 | kind) }

    private mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 128 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

extension ProtobufWriter {
    /// Members that were written before.
    mutating func append(_ members: [UInt8]) { bytes += members }
}
