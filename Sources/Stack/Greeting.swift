internal import Platform

extension StackPlan {
    /// What is said when everything is ready: where it is, and what to do first.
    func greeting(after seconds: Double) -> String {
        let edge = places["FLOTILLA_EDGE_URL"] ?? ""
        let folder = options.folder
        let command = options.command
        let data = folder == ".flotilla" ? "" : " --data \(folder)"
        var rows = [("edge", "\(edge)/v1/events")]
        rows.append(("console", "http://\(ports.console)"))
        if let broker = places["KAFKA_BROKERS"] { rows.append(("broker", "\(broker) (KAFKA_BROKERS)")) }
        if options.admin.port != 0 {
            rows.append(("health", "http://\(options.admin.host):\(options.admin.port)/readyz and /metrics"))
        }
        rows.append(("data", folder))
        if let database, database.isElsewhere, let account = database.account {
            rows.append(
                ("postgres", "\(database.data): it runs as \(account.name), who cannot pass a folder above \(folder)"))
        }
        let width = 10
        let list = rows.map { "  \($0)\(String(repeating: " ", count: width - $0.count))\($1)" }.joined(separator: "\n")
        let hasKeys = ["FLOTILLA_KEYS", "FLOTILLA_JWKS", "FLOTILLA_ISSUER"].contains { options.settings.all[$0] != nil }
        let key = hasKeys ? " -H \"authorization: Bearer $FLOTILLA_TOKEN\"" : ""
        return """

            ready after \(seconds) s

            \(list)

            An event, and what it counts for:

              curl -s \(edge)/v1/events -H 'content-type: application/json'\(key) \\
                -d '{"event_type":"click","campaign_id":"spring","value":1.5}'
              \(command) query --metric clicks --campaign spring

            \(command) status --watch\(data) shows the workers, \(command) scale process=4\(data) makes more of them,
            \(command) logs -f\(data) what they say. Ctrl-C, or \(command) down\(data), ends it all in order.

            """
    }
}
