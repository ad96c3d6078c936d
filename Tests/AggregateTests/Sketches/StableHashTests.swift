import TestSupport
import Testing

@testable import Aggregate

@Suite struct StableHashTests {
    /// What is stored depends on these; they are those of the reference implementation of XXH64.
    @Test func itIsXXH64() {
        #expect(StableHash.of("") == 0xef46_db37_51d8_e999)
        #expect(StableHash.of("a") == 0xd24e_c4f1_a98c_6e5b)
        #expect(StableHash.of("abc") == 0x44bc_2cf5_ad77_0999)
        #expect(StableHash.of("Nobody inspects the spammish repetition") == 0xfbce_a83c_8a37_8bf1)
    }

    @Test func everyByteAndTheLengthCount() {
        var seen: Set<UInt64> = []
        for count in 0..<100 {
            var bytes = [UInt8](repeating: 0, count: count)
            #expect(seen.insert(StableHash.of(bytes.span)).inserted)
            for index in 0..<count {
                bytes[index] = 1
                #expect(seen.insert(StableHash.of(bytes.span)).inserted)
                bytes[index] = 0
            }
        }
        #expect(StableHash.of([1].span, seed: 1) != StableHash.of([1].span, seed: 2))
    }
}
