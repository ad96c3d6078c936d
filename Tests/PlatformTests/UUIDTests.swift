import Platform
import Testing

@Suite struct UUIDTests {
    @Test func whatIsWrittenIsRead() {
        let made = UUIDValue.version7(at: 1_777_863_721_000)
        #expect(UUIDValue(text: made.description) == made)
        #expect(UUIDValue(text: made.description.uppercased()) == made)
        #expect(made.milliseconds == 1_777_863_721_000)
        #expect(UUIDValue.version5(in: .flotillaEvents, [1]).milliseconds == nil)
    }

    @Test(arguments: [
        "", "x", "01a1fd58-7d81-76b1-b15c-c281c734829", "01a1fd58-7d81-76b1-b15c-c281c734829g",
        "01a1fd5807d81076b10b15c0c281c734829a", "{01a1fd58-7d81-76b1-b15c-c281c73482}",
        "0１a1fd58-7d81-76b1-b15c-c281c734829",
    ])
    func whatIsNoneIsNone(_ text: String) { #expect(UUIDValue(text: text) == nil) }
}
