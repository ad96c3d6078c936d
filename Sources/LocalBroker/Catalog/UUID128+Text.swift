extension UUID128: CustomStringConvertible {
    /// A new one, of version 4: random, so that no two brokers ever choose the same.
    static func random() -> UUID128 {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    /// The same from random numbers of one's own.
    static func random(using generator: inout some RandomNumberGenerator) -> UUID128 {
        UUID128(high: generator.next() & ~0xf000 | 0x4000, low: generator.next() & ~(0b11 << 62) | 0b10 << 62)
    }

    /// 32 hexadecimal digits: fit for a file's name.
    var description: String { Self.hex(high) + Self.hex(low) }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
