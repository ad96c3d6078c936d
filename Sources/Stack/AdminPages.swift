internal import AdminPort

/// The admin port of the stack: ready when all its processes are, and how often each has died.
struct AdminPages {
    private let server: AdminServer

    var address: String { server.address }

    init(_ stack: Stack) throws {
        let health = Health(version: stack.plan.version, probes: []) { stack.obstacles }
        server = try AdminServer(host: stack.options.admin.host, port: stack.options.admin.port, health: health) {
            text in
            let states = stack.supervisor.states
            text.add(
                "flotilla_stack_up", .gauge, "Whether a process of the stack runs.",
                states.map { ([("name", $0.name), ("role", $0.role.rawValue)], $0.process == nil ? 0 : 1) })
            text.add(
                "flotilla_stack_restarts_total", .counter, "How often a process died and was started again.",
                states.map { ([("name", $0.name), ("role", $0.role.rawValue)], Double($0.deaths)) })
        }
    }

    func stop() { server.stop() }
}
