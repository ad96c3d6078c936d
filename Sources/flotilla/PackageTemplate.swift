/// The files of a new worker package. They are what its author begins with, so they are as small as a package can be
/// that builds, is tested and does something.
struct PackageTemplate {
    /// As its author named it.
    let folder: String
    let name: String
    /// Where flotilla's own package is.
    let checkout: String

    /// What is wrong with a name; nil when it can be a package, a program and a Swift module.
    static func fault(of name: String) -> String? {
        func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        let bytes = Array(name.utf8)
        let isWord =
            (1...64).contains(bytes.count) && isLetter(bytes[0])
            && bytes.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        guard isWord else {
            return "a name is a letter, then letters, digits, - and _, 64 at most: \(name.debugDescription) is none"
        }
        guard !taken.contains(name.lowercased()) else {
            return "\(name) is the name of a module of Swift or flotilla, or a word of the language: choose another"
        }
        return nil
    }

    /// A module must not be called like one that it imports, nor like a word that cannot stand after `import`.
    private static let taken: Set<String> = [
        "flotilla", "flotillatesting", "kafka", "localbroker", "model", "platform", "commands", "json", "redis",
        "contracts", "postgres", "http", "swift", "testing", "foundation", "glibc", "synchronization", "dispatch",
        "xctest", "rawclient", "swiftclient", "workerbench", "test", "tests",
        "actor", "any", "as", "async", "await", "break", "case", "catch", "class", "continue", "default", "defer",
        "deinit", "do", "else", "enum", "extension", "fallthrough", "false", "fileprivate", "for", "func", "guard",
        "if", "import", "in", "init", "inout", "internal", "is", "let", "nil", "operator", "package", "precedencegroup",
        "private", "protocol", "public", "repeat", "rethrows", "return", "self", "static", "struct", "subscript",
        "super", "switch", "throw", "throws", "true", "try", "typealias", "var", "where", "while",
    ]

    var files: [(path: String, text: String)] {
        [
            ("Package.swift", manifest), ("Sources/\(name)/Greeter.swift", handler),
            ("Sources/\(name)/Worker.swift", program), ("Tests/\(name)Tests/GreeterTests.swift", test),
            ("topics/names.yaml", names), ("topics/greetings.yaml", greetings), ("README.md", readme),
            (".gitignore", "/.build/\n/.flotilla/\n"),
        ]
    }

    var nextSteps: String {
        """
        \(name) is a worker with one handler: it reads the topic names and publishes to greetings.

          cd \(folder)
          swift test                              # the handler and its topics, with no broker

        Then, while the fleet runs (`make up` in \(checkout)):

        \(Self.indented(steps))
        README.md says the same.
        """
    }

    private static func indented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : "  \($0)" }
            .joined(separator: "\n")
    }

    private var steps: String {
        """
        export FLOTILLA_DATA=\(checkout)/.flotilla     # its broker and its Redis
        swift run \(name) topics apply
        swift run \(name) work &
        echo '{"name": "Ada"}' | kcat -b 127.0.0.1:9092 -P -t names -H ce_id=1 -H ce_source=/me -H ce_type=named
        kcat -b 127.0.0.1:9092 -C -q -o beginning -c 1 -t greetings

        """
    }

    private var manifest: String {
        let package = checkout.split(separator: "/").last.map(String.init)?.lowercased() ?? ""
        return """
            // swift-tools-version: 6.3
            import PackageDescription

            let package = Package(
                name: "\(name)",
                dependencies: [.package(path: \(checkout.debugDescription))],
                targets: [
                    .executableTarget(
                        name: "\(name)", dependencies: [.product(name: "Flotilla", package: \(package.debugDescription))]),
                    .testTarget(
                        name: "\(name)Tests",
                        dependencies: [
                            "\(name)", .product(name: "FlotillaTesting", package: \(package.debugDescription)),
                        ]),
                ]
            )

            """
    }

    private var handler: String {
        """
        import Flotilla

        /// Greets whoever is named.
        struct Greeter: Handler {
            let name: HandlerName = "greeter"

            func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
                guard let name = try event.json()["name"]?.string, !name.isEmpty else {
                    // It will never have one: a dead letter at once. What may work later is a `Refusal.retry`.
                    throw Refusal.permanent("there is nobody to greet: the event has no name")
                }
                return [try Outgoing(to: "greetings", from: event, type: "greeted", ["text": "Hello, \\(name)!"])]
            }
        }

        """
    }

    private var program: String {
        """
        import Flotilla

        @main enum Worker {
            static func main() { Flotilla.main([Greeter()]) }
        }

        """
    }

    private var test: String {
        """
        import FlotillaTesting
        import Testing

        @testable import \(String(name.map { $0 == "-" ? "_" : $0 }))

        @Suite struct GreeterTests {
            @Test func greetsByName() async throws {
                let greetings = try await Greeter().outputs(of: .sample(json: #"{"name": "Ada"}"#))
                #expect(greetings.map(\\.json) == [#"{"text":"Hello, Ada!"}"#])
            }

            /// Under the worker, with what the topic files say, but with no broker.
            @Test func greetsOnceAndKeepsWhatItCannotGreet() async throws {
                let bench = try HandlerBench(Greeter(), topics: "topics")
                try bench.send(id: "1", json: #"{"name": "Ada"}"#)
                try bench.send(id: "1", json: #"{"name": "Ada"}"#)
                try bench.send(id: "2", json: "{}")
                try await bench.run()
                #expect(bench.published(to: "greetings").map(\\.json) == [#"{"text":"Hello, Ada!"}"#])
                #expect(bench.deadLetters().map(\\.id) == ["2"])
            }
        }

        """
    }

    private var names: String {
        """
        name: names
        about: who is to be greeted
        consumers:
          - handler: greeter
            produces: [greetings]

        """
    }

    private var greetings: String {
        """
        name: greetings
        about: what is said to them

        """
    }

    private var readme: String {
        """
        # \(name)

        A worker on flotilla: `Sources/\(name)/Greeter.swift` reads the topic `names` and publishes to `greetings`.
        What it reads, and how failures are treated, stands in `topics`.

            swift test

        While the fleet runs (`make up` in `\(checkout)`):

        \(steps.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))

        Or on any Kafka and Redis of yours: `KAFKA_BROKERS` and `REDIS_URL` say which. The fleet runs it beside its own
        workers with `\(checkout)/bin/flotilla up --with .`.

        How handlers, topic files and tests are written: `docs/workers.md` and `docs/topics.md` in
        `\(checkout)`.

        """
    }
}
