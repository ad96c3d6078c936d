import Testing

@testable import flotilla

@Suite struct ArgumentsTests {
    private let command = Command(
        name: "sail", summary: "goes to sea",
        options: [
            Command.Option(name: "to", value: "PORT", fallback: "home", help: "where to"),
            Command.Option(name: "crew", value: "N", help: "how many"),
            Command.Option(name: "fast", help: "hurry"),
        ],
        run: { _ in })

    @Test func bothSpellingsOfAValue() throws {
        #expect(try Arguments(["--to", "Rome"], of: command)["to"] == "Rome")
        #expect(try Arguments(["--to=Rome"], of: command)["to"] == "Rome")
        #expect(try Arguments(["--to=a=b"], of: command)["to"] == "a=b")
        #expect(try Arguments(["--to="], of: command)["to"] == "")
    }

    @Test func whatIsNotGivenHasItsDefault() throws {
        let arguments = try Arguments([], of: command)
        #expect(arguments["to"] == "home")
        #expect(arguments["crew"] == nil)
        #expect(!arguments.has("fast"))
        #expect(!arguments.asksForHelp)
        #expect(try Arguments(["--fast"], of: command).has("fast"))
    }

    @Test(arguments: [
        (["--speed", "9"], "unknown option --speed"), (["--"], "unknown option --"), (["Rome"], "unexpected argument"),
        (["--to"], "--to needs a value: --to PORT"), (["--fast=9"], "--fast takes no value"),
        (["--to", "a", "--to", "b"], "--to is given twice"),
    ])
    func faultsSayWhatIsWrongAndWhereToLook(_ arguments: [String], _ text: String) {
        let fault = #expect(throws: UsageFault.self) { try Arguments(arguments, of: command) }
        #expect(fault?.description.contains(text) == true)
        #expect(fault?.description.hasSuffix("See flotilla sail --help") == true)
    }

    @Test func helpIsAskedForAnywhere() throws {
        #expect(try Arguments(["--fast", "--help"], of: command).asksForHelp)
        #expect(try Arguments(["-h"], of: command).asksForHelp)
    }

    /// Every option of every command is in its help, with its default.
    @Test(arguments: Main.commands.map(\.name))
    func helpIsComplete(_ name: String) throws {
        let command = try #require(Main.commands.first { $0.name == name })
        #expect(command.help.hasPrefix("flotilla \(name): "))
        for option in command.options {
            #expect(command.help.contains("  --\(option.name)"))
            #expect(command.help.contains(option.help))
            if let fallback = option.fallback { #expect(command.help.contains("(default \(fallback))")) }
        }
    }
}
