/// What was given on the command line, checked against what the command takes.
package struct Arguments {
    /// What was given for each option, in order; a default where nothing was.
    private var values: [String: [String]] = [:]
    /// What was given by its place: as many as the command's operands allow.
    package private(set) var operands: [String] = []
    package private(set) var asksForHelp = false
    private let command: String

    package subscript(name: String) -> String? { values[name]?.first }

    /// Of an option that repeats.
    package func all(_ name: String) -> [String] { values[name] ?? [] }

    package func has(_ name: String) -> Bool { values[name] != nil }

    /// A fault of this command line, for what only the command itself can see.
    package func fault(_ what: String) -> UsageFault { UsageFault(what, of: command) }

    /// An option's PORT or HOST:PORT; a port alone is this machine's alone. Only for an option that was given.
    package func place(_ name: String) throws(UsageFault) -> (host: String, port: UInt16) {
        try place(self[name] ?? "", called: "--\(name)")
    }

    /// The same of any text; `name` is what the fault calls it.
    package func place(_ text: String, called name: String) throws(UsageFault) -> (host: String, port: UInt16) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let host = parts.count > 1 ? parts.dropLast().joined(separator: ":") : "127.0.0.1"
        guard let port = parts.last.flatMap({ UInt16($0) }), !host.isEmpty else {
            throw fault("\(name) \(text.debugDescription) is not PORT or HOST:PORT")
        }
        return (host.filter { $0 != "[" && $0 != "]" }, port)
    }

    /// Accepts `--name value`, `--name=value`, and for what has a letter `-n value`; `--` ends the options. Refuses
    /// what the command does not know.
    package init(_ arguments: some Sequence<String>, of command: Command) throws(UsageFault) {
        self.command = command.name
        var rest = Array(arguments)[...]
        var isPastOptions = false
        while let argument = rest.popFirst() {
            // A dash alone is a name: standard input.
            if isPastOptions || !argument.hasPrefix("-") || argument == "-" {
                operands.append(argument)
            } else if argument == "--" {
                isPastOptions = true
            } else if argument == "--help" || argument == "-h" {
                asksForHelp = true
            } else {
                try take(argument, &rest, of: command)
            }
        }
        for option in command.options where values[option.name] == nil {
            values[option.name] = option.fallback.map { [$0] }
        }
        if !asksForHelp { try checkOperands(of: command) }
    }

    private mutating func take(
        _ argument: String, _ rest: inout ArraySlice<String>, of command: Command
    ) throws(UsageFault) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let given = parts.first.map(String.init) ?? ""
        let known = command.options.first { option in
            given == "--\(option.name)" || option.short.map { given == "-\($0)" } ?? false
        }
        guard let option = known else { throw fault("unknown option \(given)") }
        guard values[option.name] == nil || option.repeats else { throw fault("--\(option.name) is given twice") }
        switch (option.value, parts.count) {
        case (nil, 1): values[option.name] = [""]
        case (nil, _): throw fault("--\(option.name) takes no value")
        case (.some, 2): values[option.name, default: []].append(String(parts[1]))
        case (.some(let placeholder), _):
            guard let value = rest.popFirst() else {
                throw fault("--\(option.name) needs a value: --\(option.name) \(placeholder)")
            }
            values[option.name, default: []].append(value)
        }
    }

    private func checkOperands(of command: Command) throws(UsageFault) {
        let needed = command.operands.filter { $0.count == .one || $0.count == .oneOrMore }
        if operands.count < needed.count { throw fault("\(needed[operands.count].name) is missing") }
        let isOpen = command.operands.contains { $0.count == .oneOrMore || $0.count == .any }
        if !isOpen, operands.count > command.operands.count {
            throw fault("unexpected argument \(operands[command.operands.count].debugDescription)")
        }
    }
}
