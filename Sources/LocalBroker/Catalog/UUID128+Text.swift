extension UUID128: CustomStringConvertible {
    /// A new one, of version 4: random, so that no two brokers ever choose the same.
    static func random() -> UUID128 {
        UUID128(
            high: UInt64.random(in: 0 ... .max) & ~0xf000 | 0x4000,
            low: UInt64.random(in: 0 ... .max) & ~(0b11 << 62) | 0b10 << 62)
    }

    /// 32 hexadecimal digits: fit for a file's name.
    var description: String { Self.hex(high) + Self.hex(low) }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
