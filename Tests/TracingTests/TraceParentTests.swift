import Model
import Testing

@Suite struct TraceParentTests {
    private let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func whatIsReadIsWrittenAgain() throws {
        let place = try #require(TraceParent(text))
        #expect(place.trace == TraceID(high: 0x4bf9_2f35_77b3_4da6, low: 0xa3ce_929d_0e0e_4736))
        #expect(place.span == 0x00f0_67aa_0ba9_02b7)
        #expect(place.isSampled)
        #expect(place.description == text)
        #expect(
            TraceParent(trace: place.trace, span: place.span, isSampled: false).description == text.dropLast() + "0")
    }

    /// A later version may say more; what we know of it holds.
    @Test func aLaterVersionCountsByWhatIsKnown() {
        let later = "cc" + text.dropFirst(2)
        #expect(TraceParent(later)?.description == text)
        #expect(TraceParent(later + "-what the future will be like")?.description == text)
        #expect(TraceParent(later + ".what the future will be like") == nil)
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
    ])
    func whatIsNoneIsNone(_ text: String) {
        #expect(TraceParent(text) == nil)
    }

    @Test func noBytesTrapIt() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            if let place = unsafe TraceParent(bytes.span.bytes) { #expect(place.span != 0) }
        }
    }
}
