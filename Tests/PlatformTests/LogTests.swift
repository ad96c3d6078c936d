import Platform
import Synchronization
import Testing

@Suite struct LogTests {
    /// What a log of this level and format wrote.
    private func lines(_ level: Log.Level, _ format: Log.Format, _ body: (Log) -> Void) -> [String] {
        let lines = Lines()
        body(Log(level: level, format: format) { lines.add($0) })
        return lines.all
    }

    private final class Lines: Sendable {
        private let kept = Mutex<[String]>([])
        var all: [String] { kept.withLock { $0 } }
        func add(_ line: String) { kept.withLock { $0.append(line) } }
    }

    @Test func aPeersTextCannotForgeALine() {
        let text = lines(.info, .text) { $0.info("closed", [("peer", "a\nERROR all is lost")]) }
        #expect(text.count == 1)
        #expect(text[0].hasSuffix("peer=\"a\\nERROR all is lost\"\n"))
        let cursor = lines(.info, .text) { $0.info("closed", [("peer", "\u{9b}2J")]) }
        #expect(cursor[0].hasSuffix("peer=\"\\u009b2J\"\n"))
        let json = lines(.info, .json) { $0.info("closed", [("peer", "\"},{\u{1b}")]) }
        #expect(json[0].hasSuffix(#""message":"closed","peer":"\"},{\u001b"}"# + "\n"))
    }

    @Test func belowItsLevelNothingIsEvaluated() {
        var evaluated = false
        let written = lines(.warning, .text) { log in
            log.info(
                "quiet",
                {
                    evaluated = true
                    return []
                }())
        }
        #expect(written.isEmpty)
        #expect(!evaluated)
    }
}
