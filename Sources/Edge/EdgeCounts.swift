internal import AdminPort
internal import Synchronization

/// What /metrics tells of requests: how many, with which answers, how long they took.
final class EdgeCounts: Sendable {
    private struct State {
        /// By the status, which is below the count.
        var answers = [Int](repeating: 0, count: 1000)
        var broken = 0
        var milliseconds = 0
        /// One place for each of `bounds`, and one beyond.
        var times = [Int](repeating: 0, count: EdgeCounts.bounds.count + 1)
    }

    private let state = Mutex(State())

    /// Milliseconds.
    private static let bounds: [Int64] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]

    func note(_ status: Int?, milliseconds: Int64) {
        // Few requests get far.
        let place = Self.bounds.firstIndex { milliseconds < $0 } ?? Self.bounds.count
        state.withLock { state in
            guard let status else { return state.broken += 1 }
            if state.answers.indices.contains(status) { state.answers[status] += 1 }
            state.milliseconds += Int(milliseconds)
            state.times[place] += 1
        }
    }

    /// `held`: what is kept of bodies; `streamed`: what of streams waits for the log.
    func write(to metrics: inout MetricsText, connections: Int, held: Int, streamed: Int) {
        let state = state.withLock { $0 }
        metrics.add(
            "flotilla_edge_requests_total", .counter, "Requests by the status of their answer.",
            state.answers.indices.filter { state.answers[$0] > 0 }.map { status in
                ([("status", "\(status)")], Double(state.answers[status]))
            })
        metrics.add(
            "flotilla_edge_requests_broken_total", .counter, "Requests whose connection broke before the answer.",
            Double(state.broken))
        metrics.addHistogram(
            "flotilla_edge_request_seconds", "How long requests took, from their headers to their answer.",
            bounds: Self.bounds.map { Double($0) / 1000 }, counts: state.times,
            sum: Double(state.milliseconds) / 1000)
        metrics.add("flotilla_edge_connections", .gauge, "Open connections.", Double(connections))
        metrics.add("flotilla_edge_held_bytes", .gauge, "What is kept of bodies that are under way.", Double(held))
        metrics.add(
            "flotilla_edge_stream_bytes", .gauge, "What of streams of lines waits for the log.", Double(streamed))
    }
}
