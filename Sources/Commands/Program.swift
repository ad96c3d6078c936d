internal import Glibc
internal import Platform

/// A program of commands: the one that ships, or an author's own.
package struct Program: Sendable {
    private let about: String
    private let version: String
    private let commands: [Command]
    private let hasOwnTopics: Bool

    /// `hasOwnTopics`: its topic files are its own, and not those of a stack that runs here.
    package init(about: String, version: String, commands: [Command], hasOwnTopics: Bool = false) {
        self.about = about
        self.version = version
        self.commands = commands
        self.hasOwnTopics = hasOwnTopics
    }

    /// What the process was called as.
    package static var name: String {
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "flotilla"
    }

    /// Does what the process' arguments say and ends it.
    package func main() -> Never {
        TerminationSignals.block()
        exit(run(Array(CommandLine.arguments.dropFirst())).number)
    }

    private func run(_ line: [String]) -> ExitCode {
        do {
            guard let word = line.first else {
                Self.complain(overview)
                return .usage
            }
            if let (command, rest) = commands.find(line) {
                let arguments = try Arguments(rest, of: command)
                guard !arguments.asksForHelp else {
                    print(command.help)
                    return .ok
                }
                if command.joinsStack { join(RunningStack.folder(arguments)) }
                do { return try command.run(arguments) } catch  where !(error is UsageFault) {
                    Self.lament(error, of: command, command.joinsStack ? RunningStack.advice(arguments) : nil)
                    return .failed
                }
            }
            return try runWord(word, line.dropFirst())
        } catch let fault as UsageFault {
            Self.complain("\(Self.name): \(fault)")
            return .usage
        } catch {
            Self.complain("\(Self.name): \(error)")
            return .failed
        }
    }

    /// Takes over what a running stack says, or says that it is not meant.
    private func join(_ folder: String) {
        let without: Set<String> = hasOwnTopics ? ["FLOTILLA_TOPICS"] : []
        guard case .hidden(let names) = RunningStack.adopt(from: folder, without: without) else { return }
        let verb = names.count == 1 ? "is" : "are"
        Self.complain(
            "\(Self.name): this is not about the fleet that runs in \(folder): \(names.joined(separator: ", ")) \(verb) set"
        )
    }

    /// What is no command: asking for help, or the first word of some.
    private func runWord(_ word: String, _ rest: ArraySlice<String>) throws(UsageFault) -> ExitCode {
        switch word {
        case "--help", "-h", "help": print(overview)
        case "--version": print("\(Self.name) \(version)")
        default:
            let verbs = commands.verbs(of: word)
            guard !verbs.isEmpty else { throw UsageFault("unknown command \(word.debugDescription)", of: nil) }
            let list =
                "\(Self.name) \(word) has these:\n\n\(verbs.list)\n\n\(Self.name) \(word) VERB --help tells more."
            switch rest.first {
            case "--help", "-h": print(list)
            case nil:
                Self.complain(list)
                return .usage
            case .some(let verb):
                throw UsageFault("\(word) has no verb \(verb.debugDescription)", of: word)
            }
        }
        return .ok
    }

    private var overview: String {
        """
        \(Self.name): \(about)

        \(commands.list)

        \(Self.name) COMMAND --help tells more.
        """
    }

    /// Tells why a command has ended, and what to do: of one that serves as a line of its log, where that is read by
    /// machines.
    private static func lament(_ error: any Error, of command: Command, _ advice: String?) {
        if command.serves, let log = try? Log.fromEnvironment(), log.format == .json {
            return log.error("cannot go on", [("command", command.name), ("error", "\(error)")])
        }
        complain("\(name): \(error)")
        if let advice { complain("\(name): \(advice)") }
    }

    /// Writes a line to standard error.
    package static func complain(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { unsafe _ = write(2, $0.baseAddress, $0.count) }
    }
}
