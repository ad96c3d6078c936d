internal import Commands
internal import Edge
internal import JSON
internal import Model
internal import Platform
internal import WebAPI

extension Command {
    private static let about = """
        FLOTILLA_KEYS names the file (./keys); it holds digests, never a key. A running edge sees a change within
        two seconds.
        """

    static let keysCreate = Command(
        name: "keys create", summary: "make an API key for the edge", details: "\(about) The key is shown once.",
        operands: [Operand(name: "NAME", help: "whose it is: part of ce_source of what it sends")],
        options: [
            Option(name: "topics", value: "T,…", fallback: "*", help: "what it may publish to; * is all that are open")
        ],
        joinsStack: false,
        run: { arguments in
            let name = arguments.operands[0]
            guard Credentials.isName(name) else {
                throw arguments.fault("NAME is letters, digits, dashes, underscores and dots, at most 64")
            }
            let topics = try topics(arguments["topics"] ?? "*", arguments)
            let path = try file()
            let (key, entry) = KeyRing.make(name, topics: topics, now: Timestamp(milliseconds: Time.wallMilliseconds))
            try KeyRing.change(path) { $0 + [entry] }
            print(key)
            return .ok
        })

    static let keysList = Command(
        name: "keys list", summary: "the API keys of the edge, without what is secret", details: about,
        options: [Option(name: "json", help: "print JSON")],
        joinsStack: false,
        run: { arguments in
            let path = try file()
            let entries = Files.exists(path) ? try KeyRing.read(path) : []
            guard !arguments.has("json") else {
                var json = JSONWriter()
                json.array { list in
                    for entry in entries {
                        list.object { json in
                            json.member("id", entry.id)
                            json.member("name", entry.name)
                            json.array("topics") { list in (entry.topics?.sorted() ?? ["*"]).forEach { list.append($0) }
                            }
                            json.member("created", entry.created)
                        }
                    }
                }
                print(json.text)
                return .ok
            }
            for entry in entries {
                print(
                    "\(entry.id)  \(entry.name)  \(entry.topics?.sorted().joined(separator: ",") ?? "*")  \(entry.created)"
                )
            }
            return .ok
        })

    static let keysRevoke = Command(
        name: "keys revoke", summary: "make API keys worthless", details: about,
        operands: [Operand(name: "NAME", help: "whose; or the id of one key, as `keys list` shows it")],
        joinsStack: false,
        run: { arguments in
            let (wanted, path) = (arguments.operands[0], try file())
            var count = 0
            try KeyRing.change(path) { entries in
                let kept = entries.filter { $0.name != wanted && $0.id != wanted }
                count = entries.count - kept.count
                guard count > 0 else {
                    throw KeyRing.Fault("no key in \(path) is called, or belongs to, \(wanted)")
                }
                return kept
            }
            print("\(count) revoked")
            return .ok
        })

    /// Nil is all.
    private static func topics(_ text: String, _ arguments: Arguments) throws -> Set<String>? {
        guard text != "*" else { return nil }
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard !names.contains("*") else {
            throw arguments.fault("--topics \(text.debugDescription): * is all topics, and stands alone")
        }
        if let wrong = names.first(where: { !TopicName($0).isValid }) {
            throw arguments.fault(
                "--topics is a list of topics with commas between them, or *: \(wrong.debugDescription) is no name of one"
            )
        }
        return Set(names)
    }

    private static func file() throws -> String { Settings.fromEnvironment().all["FLOTILLA_KEYS"] ?? "./keys" }
}
