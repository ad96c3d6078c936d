import Glibc
import Testing

@testable import LocalBroker

/// Whatever a peer sends ends in a value or a fault. A trap would take the whole test run down, which is what these look
/// for; besides, what comes out as a value may only point into its frame.
@Suite struct WireFuzzTests {
    /// Whether a frame is understood.
    @discardableResult
    private func survives(_ frame: [UInt8]) -> Bool {
        guard let (_, request, left) = try? decode(frame) else { return false }
        #expect(left >= 0)
        if case .produce(let produce) = request {
            for records in produce.topics.flatMap(\.partitions).compactMap(\.records) {
                #expect(frame.indices.contains(records) || records.isEmpty && records.upperBound <= frame.count)
            }
        }
        return true
    }

    @Test(arguments: GoldenVector.requests)
    func everyPrefixIsAFault(_ vector: GoldenVector) {
        for length in vector.bytes.indices {
            #expect(!survives(Array(vector.bytes[..<length])), "understood after \(length) bytes")
        }
    }

    @Test(arguments: GoldenVector.requests)
    func liesAboutLengthsAreSurvived(_ vector: GoldenVector) {
        let lies: [[UInt8]] = [
            [0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0x80, 0x00, 0x00, 0x00], [0x00, 0xFF, 0xFF, 0xFF],
            [0x7F, 0xFF], [0xFF, 0xFE], [0xFF, 0xFF, 0xFF, 0xFF, 0x07], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
            [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], [0x00],
        ]
        for position in vector.bytes.indices {
            for lie in lies {
                var frame = vector.bytes
                frame.replaceSubrange(position..<min(position + lie.count, frame.count), with: lie)
                survives(frame)
            }
        }
    }

    @Test func damagedBytesAreSurvived() {
        var random = FuzzRandom()
        print("damaged bytes: \(random)")
        let requests = GoldenVector.requests
        var understood = 0
        for _ in 0..<100_000 {
            guard var frame = requests.randomElement(using: &random)?.bytes else { return }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: frame.indices, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: frame[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: frame[position] = UInt8.random(in: 0...255, using: &random)
                case 2: frame.insert(UInt8.random(in: 0...255, using: &random), at: position)
                default: if frame.count > 1 { frame.remove(at: position) }
                }
            }
            if survives(frame) { understood += 1 }
        }
        // Most damage hits text or numbers. If none were understood, this would not test what lies behind the header.
        #expect(understood > 1000, "\(random)")
    }

    @Test func noiseIsSurvived() {
        var random = FuzzRandom()
        print("noise: \(random)")
        for _ in 0..<50_000 {
            guard let api = ApiKey.allCases.randomElement(using: &random),
                let version = api.versions.randomElement(using: &random)
            else { return }
            // A true header, so that the noise comes to the messages.
            var frame: [UInt8] = [0, UInt8(api.rawValue), 0, UInt8(version), 0, 0, 0, 1, 0xFF, 0xFF]
            if api.isFlexible(version) { frame.append(0) }
            for _ in 0..<Int.random(in: 0..<80, using: &random) {
                // Small numbers look like lengths.
                let most: UInt8 = Bool.random(using: &random) ? 255 : 3
                frame.append(UInt8.random(in: 0...most, using: &random))
            }
            survives(frame)
        }
    }
}

/// Random numbers that a seed repeats: every run prints its seed, and FLOTILLA_SEED runs it again.
private struct FuzzRandom: RandomNumberGenerator, CustomStringConvertible {
    private let seed: UInt64
    private var state: UInt64

    init() {
        let wanted = unsafe getenv("FLOTILLA_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
        seed = wanted ?? UInt64.random(in: 0...UInt64.max)
        state = seed
    }

    var description: String { "FLOTILLA_SEED=\(seed)" }

    /// A step of SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
