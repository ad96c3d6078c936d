internal import Glibc

/// Structured lines on standard error: a constant message, and data in named fields.
///
/// Text on a terminal, one JSON object a line elsewhere, unless `LOG_FORMAT` decides. A line is one write(2), so lines
/// of several threads never mix. Of a warning or an error that comes again and again some lines are left out, and
/// counted: `leftOut` says how many, see `LogRepeats`.
public struct Log: Sendable {
    public enum Level: Int, Sendable, Comparable, CaseIterable {
        case debug, info, warning, error

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    public enum Format: Sendable { case text, json }

    /// A field of a line: its name and its value. What is `LogNumber` is a number in JSON, all else text.
    public typealias Field = (name: StaticString, value: any CustomStringConvertible)

    public var level: Level
    public var format: Format
    private let sink: @Sendable (_ line: String) -> Void
    private let repeats: LogRepeats?
    /// What all lines of it say.
    private var common: (@Sendable () -> [Field])?

    /// A log on standard error.
    public init(level: Level = .info, format: Format) {
        self.init(level: level, format: format, repeats: LogRepeats()) { line in
            var text = line
            text.withUTF8 { unsafe _ = Glibc.write(2, $0.baseAddress, $0.count) }
        }
    }

    /// A log whose finished lines, each with its newline, go to `sink`; it may be called on any thread.
    public init(
        level: Level, format: Format, repeats: LogRepeats? = nil, sink: @escaping @Sendable (_ line: String) -> Void
    ) {
        self.level = level
        self.format = format
        self.sink = sink
        self.repeats = repeats
    }

    /// The same log, whose lines also say these. They are asked for only when a line is written.
    public func with(_ fields: @escaping @Sendable () -> [Field]) -> Log {
        var log = self
        log.common = { [common] in (common?() ?? []) + fields() }
        return log
    }

    /// Tells of what was left out so far: for the end of a process.
    public func tellLeftOut() {
        for (level, message, count) in repeats?.takeAll() ?? [] { line(level, message, [("leftOut", count)]) }
    }

    /// The log that `LOG_LEVEL` (debug, info, warning, error) and `LOG_FORMAT` (json, text) ask for; what is wrong with
    /// them is among the settings' faults.
    public static func from(_ settings: inout Settings) -> Log {
        let level = settings.value("LOG_LEVEL", expected: "debug, info, warning or error") { text in
            Level.allCases.first { "\($0)" == text.lowercased() }
        }
        let format = settings.value("LOG_FORMAT", expected: "json or text") { text -> Format? in
            switch text {
            case "json": .json
            case "text": .text
            default: nil
            }
        }
        return Log(level: level ?? .info, format: format ?? (isatty(2) == 1 ? .text : .json))
    }

    /// The same for a process without other settings.
    public static func fromEnvironment() throws(SettingFaults) -> Log {
        var settings = Settings.fromEnvironment()
        let log = from(&settings)
        try settings.check()
        return log
    }

    public func debug(_ message: StaticString, _ fields: @autoclosure () -> [Field] = []) {
        write(.debug, message, fields)
    }

    public func info(_ message: StaticString, _ fields: @autoclosure () -> [Field] = []) {
        write(.info, message, fields)
    }

    public func warning(_ message: StaticString, _ fields: @autoclosure () -> [Field] = []) {
        write(.warning, message, fields)
    }

    public func error(_ message: StaticString, _ fields: @autoclosure () -> [Field] = []) {
        write(.error, message, fields)
    }

    private func write(_ level: Level, _ message: StaticString, _ fields: () -> [Field]) {
        guard level >= self.level else { return }
        if let repeats {
            for (level, message, count) in repeats.takeOld() { line(level, message, [("leftOut", count)]) }
            if level >= .warning, !repeats.passes(level, message) { return }
        }
        var fields = fields()
        if let common {
            // What a line says by itself is not said twice.
            let own = Set(fields.map { "\($0.name)" })
            fields += common().filter { !own.contains("\($0.name)") }
        }
        line(level, message, fields)
    }

    private func line(_ level: Level, _ message: StaticString, _ fields: [Field]) {
        let at = Timestamp(milliseconds: Time.wallMilliseconds)
        switch format {
        case .text:
            var line = "\(at.clockTime) \("\(level)".uppercased()) \(message)"
            for field in fields { line += "  \(field.name)=\(Self.printable("\(field.value)"))" }
            sink(line + "\n")
        case .json:
            var line = "{\"time\":\"\(at)\",\"level\":\"\(level)\",\"message\":\(Self.quoted("\(message)"))"
            for field in fields {
                let value = field.value is any LogNumber ? "\(field.value)" : Self.quoted("\(field.value)")
                line += ",\(Self.quoted("\(field.name)")):\(value)"
            }
            sink(line + "}\n")
        }
    }

    /// What a peer sent must not be able to forge a line or move the cursor.
    private static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return quoted(text)
    }

    /// Terminals obey both sets of control characters, the one above 0x7f too.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where isControl(scalar):
                let hex = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// What says of itself a whole number, as JSON writes one.
public protocol LogNumber: CustomStringConvertible {}

extension Int: LogNumber {}
extension Int32: LogNumber {}
extension Int64: LogNumber {}
extension UInt16: LogNumber {}
extension UInt32: LogNumber {}
extension UInt64: LogNumber {}
