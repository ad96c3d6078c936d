/// HyperLogLog with 2^14 registers: of the hashes that begin with a register's number, the place of the first set bit
/// behind it, at most. A register a byte, since six bits would cost more instructions than they save memory.
struct Registers: Hashable, Sendable {
    static let precision: UInt64 = 14
    static let count = 1 << Int(precision)
    /// What a register can be: 0 for none, and one more than there are bits behind the number.
    static let highest: UInt8 = 51

    private(set) var values = [UInt8](repeating: 0, count: Registers.count)
    /// How many registers have each value, kept up with every change: counting them anew costs more than all the rest
    /// of an estimate.
    private(set) var histogram: [Int]

    init() {
        histogram = Array(repeating: 0, count: Int(Registers.highest) + 1)
        histogram[0] = Self.count
    }

    /// Nil when these are none.
    init?(values: [UInt8]) {
        guard values.count == Self.count else { return nil }
        let all = values.span
        for register in 0..<Self.count where all[register] > Self.highest { return nil }
        self.values = values
        histogram = Self.counted(values)
    }

    mutating func insert(_ hash: UInt64) {
        let register = Int(hash >> (64 - Self.precision))
        let zeros = min((hash << Self.precision).leadingZeroBitCount, Int(64 - Self.precision))
        let value = UInt8(zeros + 1)
        let before = values[register]
        guard before < value else { return }
        values[register] = value
        histogram[Int(before)] -= 1
        histogram[Int(value)] += 1
    }

    mutating func formUnion(_ other: Registers) {
        for register in 0..<Self.count { values[register] = max(values[register], other.values[register]) }
        histogram = Self.counted(values)
    }

    /// Ertl's improved raw estimator (arXiv 1702.01284, algorithm 6).
    ///
    /// It reads how many registers have each value, and corrects for those at both ends of the range in closed form. So
    /// it is unbiased from one member to beyond 10^18 without the tables of measured biases that HyperLogLog++ brings,
    /// and without a switch to linear counting, around which the original one errs most. Its maximum-likelihood sibling
    /// is no better (1.039 / √m) and iterates. The standard error is 1.04 / √16384 = 0.81 %, so 2 % are 2.46 of it.
    var estimate: Double {
        let kinds = histogram
        let size = Double(Self.count)
        var sum = size * Self.tau(1 - Double(kinds[Int(Self.highest)]) / size)
        for value in stride(from: Int(Self.highest) - 1, through: 1, by: -1) {
            sum = (sum + Double(kinds[value])) / 2
        }
        sum += size * Self.sigma(Double(kinds[0]) / size)
        // α∞ = 1 / (2 ln 2)
        return size * size / sum * 0.721_347_520_444_481_7
    }

    /// All values are below 64, and saying so spares the compiler its checks.
    private static func counted(_ values: [UInt8]) -> [Int] {
        var kinds = InlineArray<64, Int>(repeating: 0)
        for value in values { kinds[Int(value & 63)] &+= 1 }
        return (0...Int(highest)).map { kinds[$0] }
    }

    /// x + Σ x^(2^k) 2^(k-1): what the registers at zero say. Infinite when all are.
    private static func sigma(_ share: Double) -> Double {
        guard share < 1 else { return .infinity }
        var (x, weight, sum, last) = (share, 1.0, share, -1.0)
        while sum != last {
            last = sum
            x *= x
            sum += x * weight
            weight += weight
        }
        return sum
    }

    /// (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3: what the registers at the other end say.
    private static func tau(_ share: Double) -> Double {
        guard share > 0, share < 1 else { return 0 }
        var (x, weight, sum, last) = (share, 1.0, 1 - share, -1.0)
        while sum != last {
            last = sum
            x = x.squareRoot()
            weight /= 2
            sum -= (1 - x) * (1 - x) * weight
        }
        return sum / 3
    }
}
