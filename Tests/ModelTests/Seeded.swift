import Glibc

/// Random numbers that a seed repeats: every run prints its seed, and FLOTILLA_SEED runs it again.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    static func fromEnvironment() -> Seeded {
        let wanted = unsafe getenv("FLOTILLA_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
        let seed = wanted ?? UInt64.random(in: .min ... .max)
        print("FLOTILLA_SEED=\(seed)")
        return Seeded(state: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
