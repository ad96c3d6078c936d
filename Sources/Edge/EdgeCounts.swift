internal import Synchronization

/// What /metrics tells of requests.
final class EdgeCounts: Sendable {
    private let answers = Mutex<[Int: Int]>([:])
    private let broken = Atomic<Int>(0)
    private let milliseconds = Atomic<Int>(0)

    func note(_ status: Int?, milliseconds: Int64) {
        self.milliseconds.add(Int(milliseconds), ordering: .relaxed)
        guard let status else { return _ = broken.add(1, ordering: .relaxed) }
        answers.withLock { $0[status, default: 0] += 1 }
    }

    /// As Prometheus reads it.
    func text(connections: Int) -> String {
        var lines = [
            "# HELP flotilla_edge_requests_total Requests by the status of their answer.",
            "# TYPE flotilla_edge_requests_total counter",
        ]
        let answers = answers.withLock { $0 }
        for (status, count) in answers.sorted(by: { $0.key < $1.key }) {
            lines.append("flotilla_edge_requests_total{status=\"\(status)\"} \(count)")
        }
        lines += [
            "# HELP flotilla_edge_requests_broken_total Requests whose connection broke before the answer.",
            "# TYPE flotilla_edge_requests_broken_total counter",
            "flotilla_edge_requests_broken_total \(broken.load(ordering: .relaxed))",
            "# HELP flotilla_edge_request_seconds_total What requests took in all, from their headers to their answer.",
            "# TYPE flotilla_edge_request_seconds_total counter",
            "flotilla_edge_request_seconds_total \(Double(milliseconds.load(ordering: .relaxed)) / 1000)",
            "# HELP flotilla_edge_connections Open connections.", "# TYPE flotilla_edge_connections gauge",
            "flotilla_edge_connections \(connections)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
