internal import CLinux
internal import Glibc

/// The settings of a process, read once at its start from environment variables.
///
/// Each may come from a file instead: `NAME_FILE` names it, and its content without the last newline counts. What is
/// wrong is collected while reading goes on, so that one start tells every fault:
///
///     var settings = Settings.fromEnvironment()
///     let folder = settings.text("FLOTILLA_TOPICS") ?? "./topics"
///     let rate = settings.integer("FLOTILLA_RATE", in: 1...1_000_000) ?? 100
///     try settings.check()
///
/// A variable that is set to nothing counts as not set: that is how compose files pass on what they do not have.
public struct Settings: Sendable {
    /// Everything that is set, by name.
    public let all: [String: String]
    public private(set) var faults: [SettingFault] = []

    /// A setting is a line or a key, never more.
    private static let fileLimit = 1 << 20

    public init(_ all: [String: String]) { self.all = all.filter { !$0.value.isEmpty } }

    public static func fromEnvironment() -> Settings {
        var all: [String: String] = [:]
        guard var next = unsafe flotilla_environment() else { return Settings(all) }
        while let entry = unsafe next.pointee {
            let parts = unsafe String(cString: entry).split(separator: "=", maxSplits: 1)
            if parts.count == 2 { all[String(parts[0])] = String(parts[1]) }
            unsafe next += 1
        }
        return Settings(all)
    }

    /// The value of a setting, from its variable or its file; nil when there is none.
    public mutating func text(_ name: String) -> String? {
        let (value, path) = (all[name], all[name + "_FILE"])
        guard let path else { return value }
        guard value == nil else {
            refuse(name, "is set, and \(name)_FILE too: unset one of them")
            return nil
        }
        do throws(SystemError) {
            guard var bytes = try Files.read(path, limit: Self.fileLimit) else {
                refuse(name + "_FILE", "\(path) is larger than \(Self.fileLimit) bytes")
                return nil
            }
            if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                refuse(name + "_FILE", "\(path) is not UTF-8 text")
                return nil
            }
            return text.isEmpty ? nil : text
        } catch {
            refuse(name + "_FILE", "\(error)")
            return nil
        }
    }

    /// A setting without which nothing can start.
    public mutating func required(_ name: String, _ expected: String) -> String? {
        let before = faults.count
        if let value = text(name) { return value }
        if faults.count == before { refuse(name, "is not set: expected \(expected)") }
        return nil
    }

    /// A setting that `parse` makes a value of. `expected` completes "expected …" for the text that it refuses; with
    /// `isSecret` the text itself is not told.
    public mutating func value<Value>(
        _ name: String, expected: String, isSecret: Bool = false, _ parse: (String) -> Value?
    ) -> Value? {
        guard let text = text(name) else { return nil }
        if let value = parse(text) { return value }
        faults.append(SettingFault(name: name, value: isSecret ? "(not shown)" : text, expected: expected))
        return nil
    }

    public mutating func integer(_ name: String, in range: ClosedRange<Int>) -> Int? {
        value(name, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    public mutating func flag(_ name: String) -> Bool? {
        value(name, expected: "true or false") { text in
            switch text.lowercased() {
            case "true", "1", "yes", "on": true
            case "false", "0", "no", "off": false
            case _: nil
            }
        }
    }

    public mutating func duration(_ name: String) -> Duration? {
        value(name, expected: "a time as 500ms, 30s, 5m, 12h or 7d") { Duration(text: $0) }
    }

    /// A list separated by commas; spaces around its entries do not count.
    public mutating func list(_ name: String) -> [String]? {
        text(name)?.split(separator: ",").map { part in
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }.filter { !$0.isEmpty }
    }

    /// Notes something that is wrong with a setting: `problem` completes the sentence that `name` begins.
    public mutating func refuse(_ name: String, _ problem: String) {
        faults.append(SettingFault(name: name, problem: problem))
    }

    /// Throws every fault that was found, if any was.
    public func check() throws(SettingFaults) {
        guard faults.isEmpty else { throw SettingFaults(faults: faults) }
    }
}

/// A setting that cannot be used, and what would be.
public struct SettingFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let description: String

    public init(name: String, value: String, expected: String) {
        self.name = name
        description = "\(name)=\(value): expected \(expected)"
    }

    public init(name: String, problem: String) {
        self.name = name
        description = problem.hasPrefix(":") ? "\(name)\(problem)" : "\(name) \(problem)"
    }
}

/// All that is wrong with the settings of a process.
public struct SettingFaults: Error, Hashable, Sendable, CustomStringConvertible {
    public let faults: [SettingFault]

    public init(faults: [SettingFault]) { self.faults = faults }

    public var description: String {
        faults.count == 1
            ? "wrong setting: \(faults[0])"
            : "\(faults.count) wrong settings:\n" + faults.map { "  \($0)" }.joined(separator: "\n")
    }
}
