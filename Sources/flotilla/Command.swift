/// A command of `flotilla`: what it is called, what it takes, what it does. The help is made from the same table that
/// the arguments are checked against, so that the two cannot disagree.
struct Command: Sendable {
    /// One word, or two where a command has verbs: `topics plan`.
    let name: String
    let summary: String
    var details = ""
    /// What is given by its place, in this order.
    var operands: [Operand] = []
    var options: [Option] = []
    let run: @Sendable (Arguments) throws -> ExitCode

    struct Operand: Sendable {
        /// What stands for it in the help: `HANDLER`.
        let name: String
        var count = Count.one
        let help: String

        /// How many there may be. Only the last operand of a command may be other than `one`.
        enum Count: Sendable { case one, optional, oneOrMore, any }

        var synopsis: String {
            switch count {
            case .one: name
            case .optional: "[\(name)]"
            case .oneOrMore: "\(name)…"
            case .any: "[\(name)…]"
            }
        }
    }

    struct Option: Sendable {
        let name: String
        /// A letter that stands for the name: `-f`.
        var short: Character?
        /// What stands for the value in the help; nil for a switch.
        var value: String?
        var fallback: String?
        let help: String

        var synopsis: String {
            let names = (short.map { "-\($0)|" } ?? "") + "--\(name)"
            return value.map { "\(names) \($0)" } ?? names
        }
    }
}

/// How the process ends.
struct ExitCode: Hashable, Sendable {
    let number: Int32

    static let ok = ExitCode(number: 0)
    static let failed = ExitCode(number: 1)
    /// The command line cannot be understood.
    static let usage = ExitCode(number: 2)
    /// There is something to do: `topics plan`.
    static let changes = ExitCode(number: 3)
    /// As a shell says of a process that a signal ended.
    static func signal(_ number: Int32) -> ExitCode { ExitCode(number: 128 + number) }
}

/// A command line that cannot be understood: exit code 2.
struct UsageFault: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, of command: String?) {
        let hint = command.map { "flotilla \($0) --help" } ?? "flotilla --help"
        description = "\(what). See \(hint)"
    }
}

extension [Command] {
    /// The command that a command line begins with, and what follows its name. The longer name is meant.
    func find(_ line: [String]) -> (command: Command, rest: ArraySlice<String>)? {
        for count in [2, 1] where line.count >= count {
            let name = line.prefix(count).joined(separator: " ")
            if let command = first(where: { $0.name == name }) { return (command, line.dropFirst(count)) }
        }
        return nil
    }

    /// The commands that are verbs of `word`.
    func verbs(of word: String) -> [Command] { filter { $0.name.hasPrefix(word + " ") } }

    /// One line each: name and summary.
    var list: String {
        let width = (map(\.name.count).max() ?? 0) + 2
        return map { command in
            "  \(command.name)\(String(repeating: " ", count: width - command.name.count))\(command.summary)"
        }.joined(separator: "\n")
    }
}

extension Command {
    var help: String {
        var lines = ["flotilla \(name): \(summary)", "", "  flotilla \(name) \(synopsis)"]
        if !details.isEmpty { lines += ["", details] }
        let rows =
            operands.map { ($0.synopsis, $0.help) }
            + options.map { option in
                (option.synopsis, option.help + (option.fallback.map { " (default \($0))" } ?? ""))
            }
        let width = (rows.map(\.0.count).max() ?? 0) + 2
        if !rows.isEmpty { lines.append("") }
        for (name, help) in rows {
            lines.append("  \(name)\(String(repeating: " ", count: width - name.count))\(help)")
        }
        return lines.joined(separator: "\n")
    }

    private var synopsis: String {
        (operands.map(\.synopsis) + options.map { "[\($0.synopsis)]" }).joined(separator: " ")
    }
}
