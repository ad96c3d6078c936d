import Platform
import Testing

@testable import Flotilla

@Suite struct ReadingMarkTests {
    private func at(_ second: Int64) -> Timestamp { Timestamp(milliseconds: second * 1000) }

    @Test func theLogIsAskedOnlyForWhoeverLooks() {
        var mark = ReadingMark()
        func mayAsk() -> Bool { mark.mayAsk() }
        func look(_ next: Int64) -> Timestamp? { mark.look(next: next) }
        #expect(!mayAsk())
        mark.isWanted = true
        #expect(mayAsk())
        // One question at a time.
        mark.isWanted = true
        #expect(!mayAsk())
        mark.answered((0, 5), asked: at(1))
        // What was answered is to be reached first.
        #expect(look(4) == nil && !mayAsk())
        #expect(look(5) == at(1))
        #expect(mayAsk())
        mark.answered((0, 9), asked: at(2))
        // Until then what was known stays true.
        #expect(look(8) == at(1))
        #expect(look(9) == at(2))
        #expect(!mayAsk())
    }

    @Test func aLogThatDoesNotAnswerTellsNothing() {
        var mark = ReadingMark()
        func mayAsk() -> Bool { mark.mayAsk() }
        func look(_ next: Int64) -> Timestamp? { mark.look(next: next) }
        mark.isWanted = true
        #expect(mayAsk())
        mark.answered(nil, asked: at(1))
        #expect(look(100) == nil)
        mark.isWanted = true
        #expect(mayAsk())
        // Everything that it had is deleted: nothing of that comes any more.
        mark.answered((7, 7), asked: at(2))
        #expect(look(0) == at(2))
    }
}
