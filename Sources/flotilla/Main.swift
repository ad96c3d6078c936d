internal import Glibc
internal import Platform

/// `flotilla`, the command line: the only place where ports meet adapters.
@main
enum Main {
    static let version = "0.1.0"
    static let commands: [Command] = [.broker, .topicsPlan, .topicsApply, .topicsCheck]

    static func main() {
        TerminationSignals.block()
        exit(run(Array(CommandLine.arguments.dropFirst())).number)
    }

    private static func run(_ line: [String]) -> ExitCode {
        do {
            guard let word = line.first else {
                complain(overview)
                return .usage
            }
            if let (command, rest) = commands.find(line) {
                let arguments = try Arguments(rest, of: command)
                guard !arguments.asksForHelp else {
                    print(command.help)
                    return .ok
                }
                return try command.run(arguments)
            }
            return try runWord(word, line.dropFirst())
        } catch let fault as UsageFault {
            complain("flotilla: \(fault)")
            return .usage
        } catch {
            complain("flotilla: \(error)")
            return .failed
        }
    }

    /// What is no command: asking for help, or the first word of some.
    private static func runWord(_ word: String, _ rest: ArraySlice<String>) throws(UsageFault) -> ExitCode {
        switch word {
        case "--help", "-h", "help": print(overview)
        case "--version": print("flotilla \(version)")
        default:
            let verbs = commands.verbs(of: word)
            guard !verbs.isEmpty else { throw UsageFault("unknown command \(word.debugDescription)", of: nil) }
            let list = "flotilla \(word) has these:\n\n\(verbs.list)\n\nflotilla \(word) VERB --help tells more."
            switch rest.first {
            case "--help", "-h": print(list)
            case nil:
                complain(list)
                return .usage
            case .some(let verb):
                throw UsageFault("\(word) has no verb \(verb.debugDescription)", of: word)
            }
        }
        return .ok
    }

    private static var overview: String {
        """
        flotilla: a fleet of Kafka workers

        \(commands.list)

        flotilla COMMAND --help tells more.
        """
    }

    /// Writes a line to standard error.
    static func complain(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { unsafe _ = write(2, $0.baseAddress, $0.count) }
    }
}
