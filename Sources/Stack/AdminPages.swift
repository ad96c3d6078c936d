internal import AdminPort
internal import HTTP
internal import JSON

/// The admin port of the stack: ready when all its processes are, and how often each has died.
struct AdminPages {
    private let server: AdminServer

    var address: String { server.address }

    init(_ stack: Stack) throws {
        let health = Health(version: stack.plan.version, probes: []) { stack.obstacles }
        let pages = ["/targets": { @Sendable in Self.targets(stack.supervisor.states) }]
        server = try AdminServer(
            host: stack.options.admin.host, port: stack.options.admin.port, health: health, pages: pages
        ) { text in
            // What is done once and over is not down.
            let states = stack.supervisor.states.filter { $0.role != .setup }
            text.add(
                "flotilla_stack_up", .gauge, "Whether a process of the stack runs.",
                states.map { ([("name", $0.name), ("role", $0.role.rawValue)], $0.process == nil ? 0 : 1) })
            text.add(
                "flotilla_stack_restarts_total", .counter, "How often a process died and was started again.",
                states.map { ([("name", $0.name), ("role", $0.role.rawValue)], Double($0.allDeaths)) })
        }
    }

    func stop() { server.stop() }

    /// Where the processes tell their figures, as Prometheus asks for it (`http_sd_configs`).
    private static func targets(_ states: [PartState]) -> HTTPResponse {
        var json = JSONWriter()
        json.array { list in
            for state in states {
                guard let admin = state.admin else { continue }
                list.object { json in
                    json.array("targets") { $0.append("127.0.0.1:\(admin)") }
                    json.object("labels") { labels in
                        labels.member("role", state.handler ?? state.role.rawValue)
                        labels.member("name", state.name)
                    }
                }
            }
        }
        return HTTPResponse(200, "application/json", json.bytes)
    }
}
