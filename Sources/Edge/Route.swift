internal import WebAPI

/// What the edge answers to: the table that requests are found in, and that /openapi.json is written from.
enum Route: WebRoute {
    case events, topicEvents, live, ready, health, description

    /// With `{topic}` for a part that is any.
    var templates: [String] {
        switch self {
        case .events: ["/v1/events"]
        case .topicEvents: ["/v1/topics/{topic}/events"]
        case .live: ["/livez"]
        case .ready: ["/readyz", "/ready"]
        case .health: ["/healthz", "/health"]
        case .description: ["/openapi.json"]
        }
    }

    var method: String {
        switch self {
        case .events, .topicEvents: "POST"
        case .live, .ready, .health, .description: "GET"
        }
    }

    var summary: String {
        switch self {
        case .events: "Publish events to events.raw"
        case .topicEvents: "Publish events to a topic that is open to clients"
        case .live: "Whether the process lives"
        case .ready: "Whether it can publish"
        case .health: "What it depends on, and how that is"
        case .description: "This description"
        }
    }

    /// The route of a path, and what stands for `{topic}`, decoded.
    static func find(_ path: String) -> (route: Route, topic: String)? {
        // What nearly everybody asks for.
        if path == "/v1/events" { return (.events, "") }
        return table.find(path).first.map { ($0.route, $0.values.first ?? "") }
    }

    private static let table = RouteTable<Route>()
}
