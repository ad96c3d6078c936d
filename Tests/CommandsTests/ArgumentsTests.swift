import Testing

@testable import Commands

@Suite struct ArgumentsTests {
    private let command = Command(
        name: "sail", summary: "goes to sea",
        options: [
            Command.Option(name: "to", value: "PORT", fallback: "home", help: "where to"),
            Command.Option(name: "crew", value: "N", help: "how many"),
            Command.Option(name: "fast", help: "hurry"),
            Command.Option(name: "by", value: "WAY", repeats: true, help: "past what"),
        ],
        run: { _ in .ok })

    @Test func bothSpellingsOfAValue() throws {
        #expect(try Arguments(["--to", "Rome"], of: command)["to"] == "Rome")
        #expect(try Arguments(["--to=Rome"], of: command)["to"] == "Rome")
        #expect(try Arguments(["--to=a=b"], of: command)["to"] == "a=b")
        #expect(try Arguments(["--to="], of: command)["to"] == "")
    }

    @Test func whatRepeatsIsAllThere() throws {
        #expect(try Arguments(["--by", "a", "--by=b"], of: command).all("by") == ["a", "b"])
        #expect(try Arguments([], of: command).all("by") == [])
        #expect(command.help.contains("[--by WAY]…"))
    }

    @Test func whatIsNotGivenHasItsDefault() throws {
        let arguments = try Arguments([], of: command)
        #expect(arguments["to"] == "home")
        #expect(arguments["crew"] == nil)
        #expect(!arguments.has("fast"))
        #expect(!arguments.asksForHelp)
        #expect(try Arguments(["--fast"], of: command).has("fast"))
    }

    @Test func placesAreAPortOrAHostAndAPort() throws {
        let arguments = try Arguments([], of: command)
        let local = try arguments.place("9464", called: "ADDRESS")
        #expect(local.host == "127.0.0.1" && local.port == 9464)
        let six = try arguments.place("[::1]:80", called: "ADDRESS")
        #expect(six.host == "::1" && six.port == 80)
        for wrong in ["", "x", ":80", "host:", "host:65536", "host:-1"] {
            let fault = #expect(throws: UsageFault.self) { try arguments.place(wrong, called: "ADDRESS") }
            #expect(fault?.description.hasPrefix("ADDRESS \(wrong.debugDescription) is not PORT or HOST:PORT") == true)
        }
    }

    @Test(arguments: [
        (["--speed", "9"], "unknown option --speed"), (["-x"], "unknown option -x"), (["Rome"], "unexpected argument"),
        (["--to"], "--to needs a value: --to PORT"), (["--fast=9"], "--fast takes no value"),
        (["--to", "a", "--to", "b"], "--to is given twice"),
    ])
    func faultsSayWhatIsWrongAndWhereToLook(_ arguments: [String], _ text: String) {
        let fault = #expect(throws: UsageFault.self) { try Arguments(arguments, of: command) }
        #expect(fault?.description.contains(text) == true)
        #expect(fault?.description.hasSuffix("See \(Program.name) sail --help") == true)
    }

    private func taking(_ operands: Command.Operand...) -> Command {
        Command(
            name: "load", summary: "takes on cargo", operands: operands,
            options: [Command.Option(name: "follow", short: "f", help: "go on")], run: { _ in .ok })
    }

    @Test func operandsStandByTheirPlaces() throws {
        let one = taking(Command.Operand(name: "SHIP", help: "which"))
        #expect(try Arguments(["a", "-f"], of: one).operands == ["a"])
        #expect(try Arguments(["-f", "a"], of: one).has("follow"))
        #expect(try Arguments(["--", "--odd"], of: one).operands == ["--odd"])
        #expect(try Arguments(["-"], of: one).operands == ["-"])
        #expect(throws: UsageFault.self) { try Arguments([], of: one) }
        #expect(throws: UsageFault.self) { try Arguments(["a", "b"], of: one) }
        #expect(try Arguments(["--help"], of: one).asksForHelp)

        let more = taking(
            Command.Operand(name: "SHIP", help: "which"), Command.Operand(name: "BOX", count: .oneOrMore, help: "what"))
        #expect(try Arguments(["a", "b", "c"], of: more).operands == ["a", "b", "c"])
        let fault = #expect(throws: UsageFault.self) { try Arguments(["a"], of: more) }
        #expect(fault?.description == "BOX is missing. See \(Program.name) load --help")
        #expect(more.help.contains("\(Program.name) load SHIP BOX… [-f|--follow]"))

        #expect(try Arguments([], of: taking(Command.Operand(name: "X", count: .optional, help: ""))).operands == [])
        #expect(try Arguments([], of: taking(Command.Operand(name: "X", count: .any, help: ""))).operands == [])
    }

    @Test func theLongerNameIsMeant() {
        let names = ["keys", "keys list", "dlq show"]
        let commands = names.map { Command(name: $0, summary: "", run: { _ in .ok }) }
        #expect(commands.find(["keys", "list", "x"])?.command.name == "keys list")
        #expect(commands.find(["keys", "list", "x"]).map { Array($0.rest) } == ["x"])
        #expect(commands.find(["keys", "--json"])?.command.name == "keys")
        #expect(commands.find(["dlq"]) == nil)
        #expect(commands.verbs(of: "dlq").map(\.name) == ["dlq show"])
    }

    @Test func helpIsAskedForAnywhere() throws {
        #expect(try Arguments(["--fast", "--help"], of: command).asksForHelp)
        #expect(try Arguments(["-h"], of: command).asksForHelp)
    }

    /// Every option and operand is in the help, with its default.
    @Test func helpIsComplete() {
        #expect(command.help.contains(" sail: goes to sea"))
        for option in command.options {
            #expect(command.help.contains("--\(option.name)"))
            #expect(command.help.contains(option.help))
            if let fallback = option.fallback { #expect(command.help.contains("(default \(fallback))")) }
        }
    }
}
