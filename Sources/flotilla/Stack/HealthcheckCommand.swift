internal import Commands
internal import Transfers

extension Command {
    /// What a container's engine runs to know whether the process in it can serve.
    static let healthcheck = Command(
        name: "healthcheck", summary: "whether a process is ready: for containers and scripts",
        details: """
            Asks http://ADDRESS/readyz, the admin port of an edge or a worker, past any proxy. Says in a line what came
            back; ends with 0 when that was ready, else with 1.
            """,
        operands: [
            Operand(name: "ADDRESS", count: .optional, help: "PORT or HOST:PORT, if not 127.0.0.1:9464")
        ],
        options: [Option(name: "live", help: "ask only whether it lives: /livez")],
        joinsStack: false,
        run: { arguments in
            let (host, port) = try arguments.place(arguments.operands.first ?? "9464", called: "ADDRESS")
            let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            let (page, wanted) = arguments.has("live") ? ("livez", "alive") : ("readyz", "ready")
            do throws(WebClient.Fault) {
                let answer = try WebClient().get(
                    "http://\(address)/\(page)", direct: true, limit: sizeLimit, within: .seconds(4))
                let lines = String(decoding: answer.body, as: UTF8.self).split(whereSeparator: \.isNewline)
                let text = lines.isEmpty ? "status \(answer.status)" : lines.joined(separator: "; ")
                guard answer.status == 200 else {
                    Program.complain("\(address) is not \(wanted): \(text)")
                    return .failed
                }
                print("\(address): \(text)")
                return .ok
            } catch {
                Program.complain("\(address) does not answer: \(error.description)")
                return .failed
            }
        })

    /// What it says is for people; more than that nobody reads.
    private static let sizeLimit = 64 << 10
}
