import Glibc
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Stack

@Suite struct OutputTests {
    @Test func linesComeInPieces() {
        var lines = LineSplitter()
        #expect(lines.take(Array("a\nb".utf8)) == ["a"])
        #expect(lines.take(Array("c\r\n\n".utf8)) == ["bc", ""])
        #expect(lines.rest() == nil)
        #expect(lines.take(Array("end".utf8)).isEmpty)
        #expect(lines.rest() == "end")
        // One without an end does not grow for ever.
        let long = lines.take([UInt8](repeating: 120, count: 3 * LineSplitter.longest))
        #expect(long.map(\.utf8.count) == [LineSplitter.longest, LineSplitter.longest, LineSplitter.longest])
    }

    @Test func aFullFileIsSetAside() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/log"
        do {
            var file = RotatedFile(path, limit: 20, kept: 2)
            for number in 0..<8 { file.append("line \(number) xx") }
        }
        #expect(try text(path) == "line 6 xx\nline 7 xx\n")
        #expect(try text(path + ".1") == "line 4 xx\nline 5 xx\n")
        #expect(try text(path + ".2") == "line 2 xx\nline 3 xx\n")
        #expect(!Files.exists(path + ".3"))
        // It goes on where it was.
        var file = RotatedFile(path, limit: 20, kept: 2)
        file.append("more")
        #expect(try text(path + ".1") == "line 6 xx\nline 7 xx\n")
        // Nobody stops because nothing can be written.
        var nowhere = RotatedFile(folder.path + "/none/log")
        nowhere.append("lost")
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try #require(try Files.read(path, limit: 1 << 20)), as: UTF8.self)
    }

    @Test func whatAProcessSaysMovesNoCursor() {
        #expect(ScreenLine.printable("a\u{1b}[2Jb\tc\u{9b}d") == "a\u{fffd}[2Jb\tc\u{fffd}d")
        #expect(ScreenLine.text("edge", "hello", width: 6, isColoured: false) == "edge   | hello")
        #expect(ScreenLine.colour(of: "process-1") == ScreenLine.colour(of: "process-12"))
    }

    /// A terminal that takes nothing keeps nobody waiting, and one that goes on is told what it missed.
    @Test func aScreenThatTakesNothingKeepsNobodyWaiting() throws {
        let pipe = try Pipe()
        let screen = try Screen(pipe.input)
        let line = String(repeating: "x", count: 1000)
        for _ in 0..<3000 { screen.show("edge", line) }
        let shown = Shown()
        let reader = try OSThread(name: "reader") {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = unsafe read(pipe.output, &bytes, bytes.count)
                guard count > 0 else { return }
                shown.all.withLock { $0 += bytes[..<count] }
            }
        }
        // As soon as there is room.
        while !shown.text.contains("edge      | again") {
            screen.show("edge", "again")
            usleep(10_000)
        }
        screen.close()
        close(pipe.input)
        reader.join()
        close(pipe.output)
        #expect(shown.text.contains(" lines were not shown: flotilla logs has them"))
    }

    private final class Shown: Sendable {
        let all = Mutex<[UInt8]>([])
        var text: String { String(decoding: all.withLock { $0 }, as: UTF8.self) }
    }
}
