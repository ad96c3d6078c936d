internal import AdminPort
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

    func write(to metrics: inout MetricsText, connections: Int) {
        let answers = answers.withLock { $0 }.sorted { $0.key < $1.key }
        metrics.add(
            "flotilla_edge_requests_total", .counter, "Requests by the status of their answer.",
            answers.map { ([("status", "\($0.key)")], Double($0.value)) })
        metrics.add(
            "flotilla_edge_requests_broken_total", .counter, "Requests whose connection broke before the answer.",
            Double(broken.load(ordering: .relaxed)))
        metrics.add(
            "flotilla_edge_request_seconds_total", .counter,
            "What requests took in all, from their headers to their answer.",
            Double(milliseconds.load(ordering: .relaxed)) / 1000)
        metrics.add("flotilla_edge_connections", .gauge, "Open connections.", Double(connections))
    }
}
