// How a batch lies in a database until it is published: records one after the other, every number big-endian.
//
//     version 1 | records | each: topic, partition, timestamp, headers, key, value
//
// A length below zero is null. What was written by an older version is always read.
extension OutgoingBatch {
    private static let version: UInt8 = 1

    /// The records as bytes, in pieces of about so many at most: each can be read by itself.
    package func stored(pieces limit: Int) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var piece: [UInt8] = [Self.version]
        for entry in entries {
            if piece.count > limit {
                pieces.append(piece)
                piece = [Self.version]
            }
            let name = topics[Int(entry.topic)].rawValue
            piece.append(number: Int32(clamping: name.utf8.count))
            piece.append(contentsOf: name.utf8)
            piece.append(number: entry.partition)
            piece.append(number: entry.timestamp)
            piece.append(number: entry.headerCount)
            for header in headers[Int(entry.firstHeader)..<Int(entry.firstHeader + entry.headerCount)] {
                store(header.start, header.nameCount, header.valueCount, in: &piece)
            }
            store(entry.start, entry.keyCount, entry.valueCount, in: &piece)
        }
        if piece.count > 1 { pieces.append(piece) }
        return pieces
    }

    /// Two byte strings that lie side by side here.
    private func store(_ start: Int, _ first: Int32, _ second: Int32, in piece: inout [UInt8]) {
        let middle = start + Int(max(0, first))
        piece.append(number: first)
        piece.append(contentsOf: bytes[start..<middle])
        piece.append(number: second)
        piece.append(contentsOf: bytes[middle..<middle + Int(max(0, second))])
    }

    /// Reads what `stored` wrote. Nil when it is something else.
    package init?(stored: [UInt8]) {
        self.init()
        var rest = stored[...]
        guard rest.popFirst() == Self.version else { return nil }
        while !rest.isEmpty {
            guard let name = rest.takeBytes(), let name, let text = String(validating: name, as: UTF8.self),
                let partition: Int32 = rest.takeNumber(),
                let timestamp: Int64 = rest.takeNumber(), let headerCount: Int32 = rest.takeNumber(),
                headerCount >= 0, headerCount <= Int32(clamping: rest.count)
            else { return nil }
            var fields: [Header] = []
            for _ in 0..<headerCount {
                guard let name = rest.takeBytes(), let name, let value = rest.takeBytes(),
                    let text = String(validating: name, as: UTF8.self)
                else { return nil }
                fields.append(Header(text, value))
            }
            guard let key = rest.takeBytes(), let value = rest.takeBytes() else { return nil }
            append(
                OutgoingRecord(
                    topic: TopicName(text), partition: partition == Self.unset ? nil : Partition(partition), key: key,
                    value: value, headers: fields, timestamp: timestamp == Int64(Self.unset) ? nil : timestamp))
        }
    }

    /// About what a record takes on its way: its bytes, and a few for the lengths and times around them.
    package func wireBytes(at index: Int) -> Int {
        let entry = entries[index]
        let fields = headers[Int(entry.firstHeader)..<Int(entry.firstHeader + entry.headerCount)]
        return fields.reduce(64 + Int(max(0, entry.keyCount)) + Int(max(0, entry.valueCount))) {
            $0 + Int($1.nameCount) + Int(max(0, $1.valueCount)) + 10
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(number: some FixedWidthInteger) {
        for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate mutating func takeNumber<Number: FixedWidthInteger>() -> Number? {
        let size = Number.bitWidth / 8
        guard count >= size else { return nil }
        let number = prefix(size).reduce(Number.zero) { $0 << 8 | Number(truncatingIfNeeded: $1) }
        removeFirst(size)
        return number
    }

    /// Outer nil: there is none. Inner nil: it is null.
    fileprivate mutating func takeBytes() -> [UInt8]?? {
        guard let count: Int32 = takeNumber() else { return nil }
        guard count >= 0 else { return .some(nil) }
        guard self.count >= count else { return nil }
        let bytes = Array(prefix(Int(count)))
        removeFirst(Int(count))
        return bytes
    }
}
