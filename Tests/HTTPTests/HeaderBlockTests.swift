import Testing

@testable import HTTP

@Suite struct HeaderBlockTests {
    /// Eight bytes are looked at in one go: what is wrong with one is found wherever it stands among its neighbours.
    @Test(arguments: [UInt8(0x00), 0x01, 0x1f, 0x7f])
    func controlCharactersAreFoundWhereverTheyAre(_ control: UInt8) {
        for neighbour in [UInt8(ascii: " "), UInt8(ascii: "a"), UInt8(ascii: "~"), 9, 0xff] {
            for count in 1...20 {
                for place in 0..<count {
                    var value = [UInt8](repeating: neighbour, count: count)
                    #expect(!Self.block(value).places[0].hasControl)
                    value[place] = control
                    #expect(Self.block(value).places[0].hasControl, "\(neighbour) \(count) \(place)")
                }
            }
        }
    }

    @Test func whatIsNotUTF8IsFoundWhereverItIs() {
        for count in 1...20 {
            for place in 0..<count {
                var value = [UInt8](repeating: UInt8(ascii: "a"), count: count)
                #expect(Self.block(value).illegible == nil)
                value[place] = 0xff
                #expect(Self.block(value).illegible == "x-note")
            }
        }
        #expect(Self.block(Array("Zürich, 日本".utf8)).illegible == nil)
    }

    @Test func namesAreFoundHoweverTheyAreWritten() {
        let block = HeaderBlock([
            HTTPRequest.Field("Content-Type", "a"), HTTPRequest.Field("HOST", "b"),
            HTTPRequest.Field("content-type", "c"), HTTPRequest.Field("`", "d"),
        ])
        #expect(block.first("content-type").map(block.value) == "a")
        #expect(block.count("content-type") == 2)
        #expect(block.first("host").map(block.value) == "b")
        #expect(block.first("`").map(block.value) == "d")
        // The first letter of one that is there, and of none.
        #expect(block.first("content-length") == nil)
        #expect(block.first("origin") == nil)
        #expect(block.count("expect") == 0)
    }

    private static func block(_ value: [UInt8]) -> HeaderBlock {
        var block = HeaderBlock()
        unsafe Array("X-Note".utf8).withUnsafeBytes { name in
            unsafe value.withUnsafeBytes { unsafe block.add(name, $0) }
        }
        return block
    }
}
