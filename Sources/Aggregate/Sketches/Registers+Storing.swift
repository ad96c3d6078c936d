/// How registers are stored: as whichever of two forms is shorter.
///
/// - *few*: for each one above zero how far it is from the one before, and its value. Two bytes each; best to about 4 700
///   members.
/// - *many*: the lowest value, then four bits a register above that, the first half of the registers in the upper four of
///   each byte. Fifteen says that the value stands in a list behind: of 16 384 registers some ten do. 8.2 KB, where six
///   bits a register would take 12.
extension Registers {
    private static let half = count / 2
    private enum Form { static let (few, many): (UInt8, UInt8) = (0, 1) }

    func write(to writer: inout SealedWriter) {
        let kinds = histogram
        let lowest = UInt8(kinds.firstIndex { $0 > 0 } ?? 0)
        let used = Self.count - kinds[0]
        let beyond = kinds.dropFirst(Int(lowest) + 15).reduce(0, +)
        // A distance above 127 takes one byte more, but then there are few of them.
        if 2 * used < Self.half + beyond {
            writer.put(byte: Form.few)
            writer.put(number: UInt64(used))
            var last = -1
            for (register, value) in values.enumerated() where value > 0 {
                writer.put(number: UInt64(register - last - 1))
                writer.put(byte: value)
                last = register
            }
            return
        }
        writer.put(byte: Form.many)
        writer.put(byte: lowest)
        // No value is below the lowest, so nothing wraps.
        let all = values.span
        var packed = [UInt8](repeating: 0, count: Self.half)
        var pairs = packed.mutableSpan
        for pair in 0..<Self.half {
            pairs[pair] = min(all[pair] &- lowest, 15) << 4 | min(all[pair + Self.half] &- lowest, 15)
        }
        writer.put(packed)
        guard beyond > 0 else { return }
        for register in 0..<Self.count where all[register] &- lowest >= 15 { writer.put(byte: all[register]) }
    }

    init(from reader: inout SealedReader) throws(SketchFault) {
        var values = [UInt8](repeating: 0, count: Self.count)
        switch try reader.byte() {
        case Form.few:
            let used = try reader.number()
            guard used <= UInt64(Self.count) else { throw .damaged }
            var next = 0
            for _ in 0..<used {
                let distance = try reader.number()
                guard distance < UInt64(Self.count - next) else { throw .damaged }
                next += Int(distance)
                values[next] = try reader.byte()
                guard values[next] > 0 else { throw .damaged }
                next += 1
            }
        case Form.many:
            let lowest = try reader.byte()
            guard lowest <= Self.highest else { throw .damaged }
            let packed = try reader.bytes(Self.half)
            let both = packed.span
            var all = values.mutableSpan
            for pair in 0..<Self.half {
                all[pair] = lowest &+ both[pair] >> 4
                all[pair + Self.half] = lowest &+ both[pair] & 15
            }
            for register in 0..<Self.count where all[register] == lowest &+ 15 {
                all[register] = try reader.byte()
                guard all[register] >= lowest + 15 else { throw .damaged }
            }
        case _: throw .damaged
        }
        guard let registers = Registers(values: values) else { throw .damaged }
        self = registers
    }
}
