internal import Commands
internal import Flotilla
internal import JSON
internal import Model
internal import Notify
internal import Platform
internal import Postgres

extension Command {
    private static let about = """
        Reads what notify keeps, from NOTIFY_DATABASE_URL or DATABASE_URL. An endpoint is a channel of topics/rules.yaml.
        """

    static let endpointsList = Command(
        name: "endpoints list", summary: "how the endpoints of notifications fare", details: about,
        options: [Option(name: "json", help: "print JSON")],
        run: { arguments in
            let asJSON = arguments.has("json")
            return try atDesk { desk in
                let lines = try await desk.list()
                guard !asJSON else {
                    print(json(lines))
                    return .ok
                }
                let width = lines.map(\.channel.count).max() ?? 0
                for line in lines {
                    let name = line.channel + String(repeating: " ", count: width - line.channel.count)
                    let state =
                        line.disabledAt.map { "disabled since \($0)" }
                        ?? (line.failures > 0 ? "\(line.failures) failures in a row" : "ok")
                    print("\(name)  \(state), \(line.waiting) waiting")
                }
                return .ok
            }
        })

    static let endpointsEnable = Command(
        name: "endpoints enable", summary: "have an endpoint asked again that said it is gone (410)",
        details: """
            \(about)
            Workers go on with it at once, also when they only spare it because it fails. What has failed meanwhile stays
            failed.
            """,
        operands: [Operand(name: "NAME", help: "the channel")],
        run: { arguments in
            let name = arguments.operands[0]
            return try atDesk { desk in
                guard try await desk.enable(name) else {
                    let known = try await desk.list().map(\.channel).joined(separator: ", ")
                    Program.complain(
                        "\(Program.name): no worker has worked for a channel \(name)\(known.isEmpty ? "" : ", only for \(known)")"
                    )
                    return .failed
                }
                print("\(name) is enabled")
                return .ok
            }
        })

    private static func json(_ lines: [EndpointDesk.Line]) -> String {
        var writer = JSONWriter()
        writer.array { list in
            for line in lines {
                list.object { json in
                    json.member("channel", line.channel)
                    json.member("state", line.state)
                    if let since = line.disabledAt { json.member("disabled_at", since.description) }
                    json.member("failures", line.failures)
                    json.member("waiting", line.waiting)
                }
            }
        }
        return writer.text
    }

    private static func atDesk(
        _ body: @escaping @Sendable (EndpointDesk) async throws -> ExitCode
    ) throws -> ExitCode {
        try inDatabase(of: "notify") { try await body(EndpointDesk($0)) }
    }
}
