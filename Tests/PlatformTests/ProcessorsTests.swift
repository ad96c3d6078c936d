import Testing

@testable import Platform

@Suite struct ProcessorsTests {
    @Test func thereIsOneAtLeast() { #expect(Processors.available >= 1) }

    @Test(
        arguments: [
            ("200000 100000\n", 2), ("150000 100000\n", 2), ("1000 100000\n", 1), ("max 100000\n", nil), ("", nil),
            ("0 100000", nil), ("1 0", nil), ("-1 5", nil), ("9223372036854775807 1", 9_223_372_036_854_775_807),
        ] as [(String, Int?)])
    func aContainersShareIsRead(_ text: String, _ share: Int?) { #expect(Processors.share(Array(text.utf8)) == share) }
}
