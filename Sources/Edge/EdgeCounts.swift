internal import AdminPort
internal import HTTP
internal import Model
internal import Platform
internal import Synchronization

/// What /metrics tells of requests: how many, with which answers, how long they took.
final class EdgeCounts: Sendable {
    /// Bounded, whatever a client sends: routes of the table, methods that HTTP has, statuses that we answer with.
    private struct Key: Hashable {
        let route: Route?
        let method: Method
        let status: Int
    }

    private enum Method: String {
        case get = "GET", head = "HEAD", post = "POST", put = "PUT", delete = "DELETE", options = "OPTIONS"
        case patch = "PATCH", trace = "TRACE", connect = "CONNECT"
        /// As OpenTelemetry's conventions call what they do not know.
        case other = "_OTHER"
    }

    private struct State {
        var durations: [Key: Durations] = [:]
        /// Mostly it is the same again.
        var last: (key: Key, durations: Durations)?
    }

    private let state = Mutex(State())
    private let broken = Counter()

    /// `status` is nil when the connection broke before the answer was out.
    func note(_ request: HTTPRequest, _ status: Int?, milliseconds: Int64) {
        guard let status else { return broken.add() }
        let key = Key(
            route: Route.find(request.path)?.route, method: Method(rawValue: request.method) ?? .other, status: status)
        let durations = state.withLock { state -> Durations in
            if let last = state.last, last.key == key { return last.durations }
            let durations = state.durations[key] ?? Durations()
            state.durations[key] = durations
            state.last = (key, durations)
            return durations
        }
        durations.note(milliseconds: milliseconds)
    }

    /// `held`: what is kept of bodies; `streamed`: what of streams waits for the log.
    func write(
        to metrics: inout MetricsText, topics: [EdgeTopic], connections: Int, held: Int, streamed: Int,
        producersReplaced: Int
    ) {
        let durations = state.withLock { $0.durations }
        let labelled = durations.map { key, durations in
            (
                labels: [
                    (name: "http_route", value: key.route?.templates.first ?? "other"),
                    (name: "http_request_method", value: key.method.rawValue),
                    (name: "http_response_status_code", value: "\(key.status)"),
                ], value: durations
            )
        }
        metrics.add(
            "http_server_request_duration_seconds", "How long requests took, from their headers to their answer.",
            labelled.sorted { $0.labels.map(\.value).lexicographicallyPrecedes($1.labels.map(\.value)) })
        metrics.add(
            "flotilla_edge_requests_broken_total", .counter, "Requests whose connection broke before the answer.",
            Double(broken.value))
        metrics.add(
            "messaging_client_sent_messages_total", .counter, "Events that the log has acknowledged.",
            topics.sorted { $0.target < $1.target }.map { topic in
                (
                    [("messaging_system", "kafka"), ("messaging_destination_name", topic.target.rawValue)],
                    Double(topic.published.value)
                )
            })
        metrics.add("flotilla_edge_connections", .gauge, "Open connections.", Double(connections))
        metrics.add("flotilla_edge_held_bytes", .gauge, "What is kept of bodies that are under way.", Double(held))
        metrics.add(
            "flotilla_edge_stream_bytes", .gauge, "What of streams of lines waits for the log.", Double(streamed))
        metrics.add(
            "flotilla_edge_producers_replaced_total", .counter,
            "Producers that could not go on and in whose place a new one was made.", Double(producersReplaced))
    }
}
