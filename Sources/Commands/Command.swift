/// A command of `flotilla`: what it is called, what it takes, what it does. The help is made from the same table that
/// the arguments are checked against, so that the two cannot disagree.
package struct Command: Sendable {
    /// One word, or two where a command has verbs: `topics plan`.
    package let name: String
    package let summary: String
    package var details = ""
    /// What is given by its place, in this order.
    package var operands: [Operand] = []
    package var options: [Option] = []
    /// Whether it is about the stack that runs on this machine, when no settings say otherwise.
    package var joinsStack = true
    /// Whether it works until it is told to end: then its last words belong to its log.
    package var serves = false
    package let run: @Sendable (Arguments) throws -> ExitCode

    package init(
        name: String, summary: String, details: String = "", operands: [Operand] = [], options: [Option] = [],
        joinsStack: Bool = true, serves: Bool = false, run: @escaping @Sendable (Arguments) throws -> ExitCode
    ) {
        self.name = name
        self.summary = summary
        self.details = details
        self.operands = operands
        self.options = options
        self.joinsStack = joinsStack
        self.serves = serves
        self.run = run
    }

    package struct Operand: Sendable {
        /// What stands for it in the help: `HANDLER`.
        package let name: String
        package var count = Count.one
        package let help: String

        package init(name: String, count: Count = .one, help: String) {
            self.name = name
            self.count = count
            self.help = help
        }

        /// How many there may be. Only the last operand of a command may be other than `one`.
        package enum Count: Sendable { case one, optional, oneOrMore, any }

        var synopsis: String {
            switch count {
            case .one: name
            case .optional: "[\(name)]"
            case .oneOrMore: "\(name)…"
            case .any: "[\(name)…]"
            }
        }
    }

    package struct Option: Sendable {
        package let name: String
        /// A letter that stands for the name: `-f`.
        package var short: Character?
        /// What stands for the value in the help; nil for a switch.
        package var value: String?
        package var fallback: String?
        /// Whether it may be given more than once.
        package var repeats: Bool
        package let help: String

        package init(
            name: String, short: Character? = nil, value: String? = nil, fallback: String? = nil, repeats: Bool = false,
            help: String
        ) {
            self.name = name
            self.short = short
            self.value = value
            self.fallback = fallback
            self.repeats = repeats
            self.help = help
        }

        var synopsis: String {
            let names = (short.map { "-\($0)|" } ?? "") + "--\(name)"
            return value.map { "\(names) \($0)" } ?? names
        }
    }
}

/// How the process ends.
package struct ExitCode: Hashable, Sendable {
    package let number: Int32

    package static let ok = ExitCode(number: 0)
    package static let failed = ExitCode(number: 1)
    /// The command line cannot be understood.
    package static let usage = ExitCode(number: 2)
    /// There is something to do: `topics plan`.
    package static let changes = ExitCode(number: 3)
    /// As a shell says of a process that a signal ended.
    package static func signal(_ number: Int32) -> ExitCode { ExitCode(number: 128 + number) }
}

/// A command line that cannot be understood: exit code 2.
package struct UsageFault: Error, CustomStringConvertible {
    package let description: String

    package init(_ what: String, of command: String?) {
        let hint = command.map { "\(Program.name) \($0) --help" } ?? "\(Program.name) --help"
        description = "\(what). See \(hint)"
    }
}

extension [Command] {
    /// The command that a command line begins with, and what follows its name. The longer name is meant.
    package func find(_ line: [String]) -> (command: Command, rest: ArraySlice<String>)? {
        for count in [2, 1] where line.count >= count {
            let name = line.prefix(count).joined(separator: " ")
            if let command = first(where: { $0.name == name }) { return (command, line.dropFirst(count)) }
        }
        return nil
    }

    /// The commands that are verbs of `word`.
    package func verbs(of word: String) -> [Command] { filter { $0.name.hasPrefix(word + " ") } }

    /// One line each: name and summary.
    package var list: String {
        let width = (map(\.name.count).max() ?? 0) + 2
        return map { command in
            "  \(command.name)\(String(repeating: " ", count: width - command.name.count))\(command.summary)"
        }.joined(separator: "\n")
    }
}

extension Command {
    package var help: String {
        var lines = ["\(Program.name) \(name): \(summary)", "", "  \(Program.name) \(name) \(synopsis)"]
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
        (operands.map(\.synopsis) + options.map { "[\($0.synopsis)]\($0.repeats ? "…" : "")" }).joined(separator: " ")
    }
}
