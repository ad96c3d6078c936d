import JSON
import TestSupport
import Testing

@testable import Edge

@Suite struct LineBlockTests {
    /// Whatever lines there are: what a block takes for a line's value is what the line is by itself.
    @Test(arguments: TestDice.seeds(4)) func aBlockFindsNoValueThatNoLineHas(_ seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let parts = [
            #"{"a":1}"#, #"{"a":1},{"b":2}"#, "[1", "2]", "{\"a\":1", "}", "1", "-2.5e3", "\"x", "y\"", ",", ":", "[]",
            "{}", " 7 ",
            #"{"a":[1,2,{"b":"],"}]}"#, "]", "[", "null", "tru", "e", "\u{1}", "é", "\\",
        ]
        for number in 0..<3000 {
            var block = LineBlock()
            var lines: [[UInt8]] = []
            for index in 0..<Int.random(in: 2...5, using: &dice) {
                var line = Array((parts.randomElement(using: &dice) ?? "").utf8)
                if dice.chance(10) {
                    line[Int.random(in: 0..<line.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
                }
                line.removeAll { $0 == 10 }
                lines.append(line)
                unsafe block.append(line.span.bytes, index)
            }
            guard let document = block.parsed else { continue }
            for (place, (value, range)) in zip(document.root.elements, document.root.elementRanges).enumerated() {
                guard place < lines.count, block.holds(range, place) else { break }
                let alone = try? JSONDocument(parsing: lines[place]).root
                #expect(alone == value, "seed \(seed), \(number): \(lines.map { String(decoding: $0, as: UTF8.self) })")
            }
        }
    }

    @Test func aBlockGivesItsLinesBack() {
        var block = LineBlock()
        for (index, text) in ["{}", "[1,2]", "7"].enumerated() {
            unsafe block.append(Array(text.utf8).span.bytes, index * 10)
        }
        #expect(block.count == 3 && block.lines == [0, 10, 20])
        #expect(block.parsed?.root.count == 3)
        block.withLine(1) { line in #expect(unsafe line.withUnsafeBytes { unsafe Array($0) } == Array("[1,2]".utf8)) }
        block.removeAll()
        #expect(block.isEmpty)
    }
}
