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

    @Test func everyLineIsAnObjectOfItsOwn() {
        let written = lines(.debug, .json) { log in
            log.debug("one")
            log.with { [("handler", "ingest"), ("event", "e")] }.info("two", [("event", "other"), ("offset", 7)])
        }
        #expect(written.count == 2 && written.allSatisfy { $0.hasPrefix("{\"time\":\"") && $0.hasSuffix("}\n") })
        // What a line says by itself is not said twice.
        #expect(
            written[1].hasSuffix(
                #""level":"info","message":"two","event":"other","offset":7,"handler":"ingest"}"# + "\n"))
    }

    @Test func whatAllLinesSayIsAskedForOnlyWhenOneIsWritten() {
        let written = lines(.warning, .text) { log in
            log.with {
                Issue.record("was asked for")
                return []
            }.info("quiet")
        }
        #expect(written.isEmpty)
    }

    /// A clock that a test moves.
    private final class Clock: Sendable {
        private let milliseconds = Atomic<Int64>(1000)
        var now: Int64 { milliseconds.load(ordering: .relaxed) }
        func move(by more: Int64) { milliseconds.add(more, ordering: .relaxed) }
    }

    @Test func whatIsSaidAgainAndAgainIsCounted() {
        let (lines, clock) = (Lines(), Clock())
        let repeats = LogRepeats(burst: 3, window: .seconds(10)) { clock.now }
        let log = Log(level: .info, format: .text, repeats: repeats) { lines.add($0) }
        for number in 0..<10 { log.warning("away", [("try", number)]) }
        #expect(lines.all.count == 3)
        // Another message is another matter, and so is what is no trouble.
        log.error("broken")
        for _ in 0..<10 { log.info("request") }
        #expect(lines.all.count == 14)
        clock.move(by: 10_000)
        log.warning("away", [("try", 10)])
        #expect(lines.all.last?.hasSuffix("WARNING away  try=10\n") == true)
        #expect(lines.all.dropLast().last?.hasSuffix("WARNING away  leftOut=7\n") == true)
        // Whoever writes next tells of what is over, whatever it writes; and the end tells the rest.
        for number in 0..<5 { log.warning("away", [("try", number)]) }
        clock.move(by: 10_000)
        log.info("request")
        #expect(lines.all.suffix(2).first?.hasSuffix("WARNING away  leftOut=3\n") == true)
        for number in 0..<5 { log.warning("away", [("try", number)]) }
        log.tellLeftOut()
        #expect(lines.all.last?.hasSuffix("WARNING away  leftOut=2\n") == true)
        log.tellLeftOut()
        #expect(lines.all.last?.hasSuffix("WARNING away  leftOut=2\n") == true)
    }

    @Test func nothingIsLostInTheCountOfManyThreads() async {
        let (lines, clock) = (Lines(), Clock())
        let repeats = LogRepeats(burst: 5, window: .seconds(10)) { clock.now }
        let log = Log(level: .info, format: .text, repeats: repeats) { lines.add($0) }
        await withTaskGroup { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { log.error("broken") } } }
        }
        log.tellLeftOut()
        #expect(lines.all.count == 6)
        #expect(lines.all.last?.hasSuffix("leftOut=7995\n") == true)
    }
}
