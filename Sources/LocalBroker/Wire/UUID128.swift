/// A 128-bit identifier, as topics have since Kafka 2.8. All zero means "none".
struct UUID128: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    static let zero = UUID128(high: 0, low: 0)
}
