internal import Commands
internal import Platform
internal import Transfers

extension Command {
    static let healthcheck = Command(
        name: "healthcheck", summary: "whether a process is ready: for containers and scripts",
        details: "Asks an admin port for /readyz. Ends with 0 when it says so, else with 1 and why not.",
        options: [
            Option(name: "admin", value: "PORT", fallback: "9464", help: "whose admin port, or HOST:PORT"),
            Option(name: "live", help: "ask only whether it lives: /livez"),
        ],
        joinsStack: false,
        run: { arguments in
            let (host, port) = try arguments.place("admin")
            let page = arguments.has("live") ? "livez" : "readyz"
            let place = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
            let client = try WebClient()
            do throws(WebClient.Fault) {
                let answer = try client.get("http://\(place)/\(page)", limit: 65_536, within: .seconds(3))
                let text = String(decoding: answer.body, as: UTF8.self).split(whereSeparator: \.isNewline)
                    .joined(separator: "; ")
                guard answer.status == 200 else {
                    Program.complain("\(Program.name): \(place) is not ready: \(text)")
                    return .failed
                }
                print(text)
                return .ok
            } catch {
                Program.complain("\(Program.name): nobody answers at \(place): \(error)")
                return .failed
            }
        })
}
