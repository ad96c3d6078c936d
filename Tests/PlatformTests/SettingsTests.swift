import Foundation
import Platform
import Testing

@Suite struct SettingsTests {
    @Test func valuesComeFromVariablesAndFiles() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "settings-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "secret")
        try Data("s3cret\n".utf8).write(to: file)
        var settings = Settings([
            "A": "text", "B_FILE": file.path, "C": "", "D": "7", "E": "5m", "F": "a, b,,c ", "G": "off",
        ])
        #expect(settings.text("A") == "text")
        #expect(settings.text("B") == "s3cret")
        #expect(settings.text("C") == nil)
        #expect(settings.integer("D", in: 1...9) == 7)
        #expect(settings.duration("E") == .seconds(300))
        #expect(settings.list("F") == ["a", "b", "c"])
        #expect(settings.flag("G") == false)
        try settings.check()
    }

    @Test func everyFaultIsToldAtOnceAndNoSecret() {
        var settings = Settings([
            "A": "1", "A_FILE": "/nowhere", "B_FILE": "/nowhere", "D": "70", "E": "5 minutes", "S": "hunter2",
        ])
        #expect(settings.text("A") == nil)
        #expect(settings.required("B", "a thing") == nil)
        #expect(settings.required("C", "another thing") == nil)
        #expect(settings.integer("D", in: 1...9) == nil)
        #expect(settings.duration("E") == nil)
        #expect(settings.value("S", expected: "a URL", isSecret: true) { _ in nil as Int? } == nil)
        let faults = #expect(throws: SettingFaults.self) { try settings.check() }
        #expect(faults?.faults.map(\.name) == ["A", "B_FILE", "C", "D", "E", "S"])
        let text = faults.map { "\($0)" } ?? ""
        #expect(text.contains("6 wrong settings:"))
        #expect(text.contains("A is set, and A_FILE too: unset one of them"))
        #expect(text.contains("No such file"))
        #expect(text.contains("C is not set: expected another thing"))
        #expect(text.contains("D=70: expected a whole number from 1 to 9"))
        #expect(!text.contains("hunter2"))
    }

    @Test func whatIsWrongWithTheLogIsToldWithTheRest() throws {
        var settings = Settings(["LOG_LEVEL": "loud", "LOG_FORMAT": "xml"])
        _ = Log.from(&settings)
        #expect(settings.required("C", "a thing") == nil)
        let faults = #expect(throws: SettingFaults.self) { try settings.check() }
        #expect(faults?.faults.map(\.name) == ["LOG_LEVEL", "LOG_FORMAT", "C"])
        settings = Settings(["LOG_LEVEL": "Debug", "LOG_FORMAT": "json"])
        _ = Log.from(&settings)
        try settings.check()
    }

    @Test func theEnvironmentIsRead() {
        #expect(Settings.fromEnvironment().all["PATH"]?.isEmpty == false)
    }
}

@Suite struct QuantitiesTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("0s", .zero), ("30s", .seconds(30)), ("5m", .seconds(300)),
        ("12h", .seconds(43_200)), ("7d", .seconds(604_800)),
    ])
    func timesAreReadAndWritten(_ text: String, _ time: Duration) {
        #expect(Duration(text: text) == time)
        #expect(time.text == text)
    }

    @Test(arguments: ["", "s", "5", "5 s", "-5s", "5w", "1.5s", "99999999999999999999s", "9999999999999d", "٣s"])
    func whatIsNoTimeIsNone(_ text: String) { #expect(Duration(text: text) == nil) }

    @Test(arguments: [("1048576", 1 << 20), ("1MiB", 1 << 20), ("3KiB", 3072), ("2GiB", 2 << 30), ("5kB", 5000)])
    func sizesAreRead(_ text: String, _ count: Int) { #expect(ByteCount.parse(text) == count) }

    @Test(arguments: ["", "MiB", "1 MiB", "1mib", "9999999999GiB", "-1"])
    func whatIsNoSizeIsNone(_ text: String) { #expect(ByteCount.parse(text) == nil) }

    @Test func sizesAreWritten() { #expect([1 << 20, 1000, 0].map(ByteCount.text) == ["1MiB", "1000", "0"]) }
}
