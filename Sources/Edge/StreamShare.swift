internal import Synchronization

/// What streams of lines may have in the producer's queue, all of them together.
///
/// Each stream has a window of its own, but enough of them would fill the queue, and everybody else's events would be
/// refused. So they have a part of it between them, and who finds it taken waits for its turn: whoever has waited longest
/// reads on when there is room for a batch.
final class StreamShare: Sendable {
    private struct State {
        var bytes = 0
        var waiting: [@Sendable () -> Void] = []
    }

    private let limit: Int
    private let batchBytes: Int
    private let state = Mutex(State())

    init(limit: Int, batchBytes: Int) {
        self.limit = limit
        self.batchBytes = batchBytes
    }

    /// What is under way.
    var bytes: Int { state.withLock { $0.bytes } }

    func take(_ count: Int) { state.withLock { $0.bytes += count } }

    /// Whether there is no room; then `goOn` is called, once, when there is.
    func mustWait(_ goOn: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            guard state.bytes >= limit else { return false }
            state.waiting.append(goOn)
            return true
        }
    }

    func give(_ count: Int) {
        let next = state.withLock { state -> [@Sendable () -> Void] in
            state.bytes -= count
            guard state.bytes < limit, !state.waiting.isEmpty else { return [] }
            let turns = min(state.waiting.count, max(1, (limit - state.bytes) / batchBytes))
            defer { state.waiting.removeFirst(turns) }
            return Array(state.waiting.prefix(turns))
        }
        for goOn in next { goOn() }
    }
}
