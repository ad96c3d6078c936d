import Glibc

/// Random numbers that a seed repeats. A random test puts its seed into every failure, and `FLOTILLA_SEED` runs one again.
package struct TestDice: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// `count` seeds to try: new ones each run, or the one that `FLOTILLA_SEED` names.
    package static func seeds(_ count: Int) -> [UInt64] {
        if let wanted = unsafe getenv("FLOTILLA_SEED").flatMap({ unsafe UInt64(String(cString: $0)) }) {
            return [wanted]
        }
        return (0..<count).map { _ in UInt64.random(in: 0...UInt64.max) }
    }

    /// SplitMix64: one word of state, and good enough for dice.
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }

    package mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}
