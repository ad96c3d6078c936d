internal import Glibc
internal import Platform

/// `flotilla`, the command line: the only place where ports meet adapters.
@main
enum Main {
    static let version = "0.1.0"
    static let commands: [Command] = [.broker]

    static func main() {
        TerminationSignals.block()
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    /// 0 when it worked, 1 when it failed, 2 when the command line cannot be understood.
    private static func run(_ arguments: [String]) -> Int32 {
        do {
            guard let name = arguments.first else {
                complain(overview)
                return 2
            }
            switch name {
            case "--help", "-h", "help": print(overview)
            case "--version": print("flotilla \(version)")
            default:
                guard let command = commands.first(where: { $0.name == name }) else {
                    throw UsageFault("unknown command \(name.debugDescription)", of: nil)
                }
                let parsed = try Arguments(arguments.dropFirst(), of: command)
                if parsed.asksForHelp { print(command.help) } else { try command.run(parsed) }
            }
            return 0
        } catch let fault as UsageFault {
            complain("flotilla: \(fault)")
            return 2
        } catch {
            complain("flotilla: \(error)")
            return 1
        }
    }

    private static var overview: String {
        let width = (commands.map(\.name.count).max() ?? 0) + 2
        let list = commands.map { command in
            "  \(command.name)\(String(repeating: " ", count: width - command.name.count))\(command.summary)"
        }
        return """
            flotilla: a fleet of Kafka workers

            \(list.joined(separator: "\n"))

            flotilla COMMAND --help tells more.
            """
    }

    private static func complain(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { unsafe _ = write(2, $0.baseAddress, $0.count) }
    }
}
