internal import AdminPort
internal import Synchronization

/// What the console tells of itself on its admin port.
final class ConsoleCounts: Sendable {
    private let answers = Mutex<[Int: Int]>([:])

    /// `status`: nil when nobody waited for it any more.
    func note(_ status: Int?) { answers.withLock { $0[status ?? 499, default: 0] += 1 } }

    func write(to text: inout MetricsText, connections: Int, streams: Int) {
        text.add(
            "flotilla_console_requests_total", .counter, "Requests that were answered, by their status.",
            answers.withLock { $0 }.sorted { $0.key < $1.key }.map { ([("status", "\($0.key)")], Double($0.value)) })
        text.add("flotilla_console_connections", .gauge, "Open connections.", [([], Double(connections))])
        text.add("flotilla_console_streams", .gauge, "Pages that follow something.", [([], Double(streams))])
    }
}
