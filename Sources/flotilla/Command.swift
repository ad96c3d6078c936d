/// A command of `flotilla`: what it is called, what it takes, what it does. The help is made from the same table that
/// the arguments are checked against, so that the two cannot disagree.
struct Command: Sendable {
    let name: String
    let summary: String
    var details = ""
    var options: [Option] = []
    let run: @Sendable (Arguments) throws -> Void

    struct Option: Sendable {
        let name: String
        /// What stands for the value in the help; nil for a switch.
        var value: String?
        var fallback: String?
        let help: String
    }
}

/// What was given on the command line, checked against the command's options.
struct Arguments {
    private var values: [String: String] = [:]
    private(set) var asksForHelp = false

    subscript(name: String) -> String? { values[name] }

    func has(_ name: String) -> Bool { values[name] != nil }

    /// Accepts `--name value` and `--name=value`; refuses what the command does not know.
    init(_ arguments: some Sequence<String>, of command: Command) throws(UsageFault) {
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" {
                asksForHelp = true
                continue
            }
            guard argument.hasPrefix("--") else {
                throw UsageFault("unexpected argument \(argument.debugDescription)", of: command.name)
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts.first.map(String.init) ?? ""
            guard let option = command.options.first(where: { $0.name == name }) else {
                throw UsageFault("unknown option --\(name)", of: command.name)
            }
            guard values[name] == nil else { throw UsageFault("--\(name) is given twice", of: command.name) }
            switch (option.value, parts.count) {
            case (nil, 1): values[name] = ""
            case (nil, _): throw UsageFault("--\(name) takes no value", of: command.name)
            case (.some, 2): values[name] = String(parts[1])
            case (.some(let placeholder), _):
                guard let value = rest.popFirst() else {
                    throw UsageFault("--\(name) needs a value: --\(name) \(placeholder)", of: command.name)
                }
                values[name] = value
            }
        }
        for option in command.options where values[option.name] == nil { values[option.name] = option.fallback }
    }
}

/// A command line that cannot be understood: exit code 2.
struct UsageFault: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, of command: String?) {
        let hint = command.map { "flotilla \($0) --help" } ?? "flotilla --help"
        description = "\(what). See \(hint)"
    }
}

extension Command {
    var help: String {
        var lines = ["flotilla \(name): \(summary)", "", "  flotilla \(name) \(synopsis)"]
        if !details.isEmpty { lines += ["", details] }
        if !options.isEmpty {
            let names = options.map { option in option.value.map { "--\(option.name) \($0)" } ?? "--\(option.name)" }
            let width = (names.map(\.count).max() ?? 0) + 2
            lines.append("")
            for (option, name) in zip(options, names) {
                let fallback = option.fallback.map { " (default \($0))" } ?? ""
                let padding = String(repeating: " ", count: width - name.count)
                lines.append("  \(name)\(padding)\(option.help)\(fallback)")
            }
        }
        return lines.joined(separator: "\n")
    }

    private var synopsis: String {
        options.map { option in
            option.value.map { "[--\(option.name) \($0)]" } ?? "[--\(option.name)]"
        }.joined(separator: " ")
    }
}
