internal import Glibc
internal import Model
internal import Platform
internal import Synchronization

/// A line on a terminal's standard error that tells how much has been read; elsewhere nothing.
final class TraceProgress: Sendable {
    private struct State {
        var topic: TopicName = ""
        var total: Int64 = 0
        var read: Int64 = 0
        var shownAt: Int64 = 0
    }

    private let isTerminal = isatty(2) == 1
    private let state = Mutex(State())

    func begin(_ topic: TopicName, _ total: Int64) {
        state.withLock { $0 = State(topic: topic, total: total) }
        show()
    }

    func read(_ count: Int) {
        let now = Time.monotonicMilliseconds
        let isDue = state.withLock { state in
            state.read += Int64(count)
            guard now - state.shownAt >= 100 else { return false }
            state.shownAt = now
            return true
        }
        if isDue { show() }
    }

    func end() { write("\r\u{1b}[K") }

    private func show() {
        let (topic, total, read) = state.withLock { ($0.topic, $0.total, min($0.read, $0.total)) }
        guard total > 0 else { return }
        let full = Int(read * 30 / total)
        write(
            "\r\u{1b}[K[" + String(repeating: "#", count: full) + String(repeating: " ", count: 30 - full)
                + "] \(read * 100 / total)%  \(topic)")
    }

    private func write(_ text: String) {
        guard isTerminal else { return }
        var text = text
        text.withUTF8 { unsafe _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
