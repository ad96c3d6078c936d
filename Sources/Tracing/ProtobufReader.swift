/// Reads the fields of a message of Protocol Buffers, as far as there are any: what is no such message ends it.
struct ProtobufReader {
    enum Value: Equatable {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// Of a fixed length, which nothing here looks into.
        case fixed
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func next() -> (number: UInt64, value: Value)? {
        guard let tag = varint() else { return nil }
        switch tag & 7 {
        case 0: return varint().map { (tag >> 3, .number($0)) }
        case 1: return skip(8) ? (tag >> 3, .fixed) : nil
        case 2:
            // What is cut off is read as far as it goes.
            guard let length = varint() else { return nil }
            let content = rest.prefix(Int(clamping: length))
            rest = rest.dropFirst(content.count)
            return (tag >> 3, .bytes(content))
        case 5: return skip(4) ? (tag >> 3, .fixed) : nil
        case _: return nil
        }
    }

    private mutating func skip(_ count: Int) -> Bool {
        guard rest.count >= count else { return false }
        rest = rest.dropFirst(count)
        return true
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 127) << shift
            if byte < 128 { return value }
        }
        return nil
    }
}
