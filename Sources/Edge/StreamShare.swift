internal import Synchronization

/// What streams of lines may have in the producer's queue, all of them together.
///
/// Each stream has a window of its own, but enough of them would fill the queue, and everybody else's events would be
/// refused. So they have a part of it between them, and who finds it taken waits for its turn: whoever has waited longest
/// reads on when there is room for a batch.
///
/// The windows are the smaller the more streams are at it: what they have under way together is to stay within the
/// processor's caches, and a part of that each is enough for the log to have always something to do.
final class StreamShare: Sendable {
    private struct State {
        var bytes = 0
        /// How many have something under way.
        var streams = 0
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

    /// What a stream may have under way now: enough for a log that takes its time, too, where there are few.
    var window: Int {
        let streams = state.withLock { $0.streams }
        return min(Self.largestWindow, max(Self.smallestWindow, Self.cachedBytes / max(1, streams)))
    }

    private static let cachedBytes = 4 << 20
    private static let largestWindow = 2 << 20
    private static let smallestWindow = 256 << 10

    /// Notes what a stream has handed over; `isFirst` when it had nothing under way.
    func take(_ count: Int, isFirst: Bool = false) {
        state.withLock { state in
            state.bytes += count
            if isFirst { state.streams += 1 }
        }
    }

    /// Whether there is no room; then `goOn` is called, once, when there is.
    func mustWait(_ goOn: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            guard state.bytes >= limit else { return false }
            state.waiting.append(goOn)
            return true
        }
    }

    /// Notes what became of it; `isLast` when the stream has nothing under way any more.
    func give(_ count: Int, isLast: Bool = false) {
        let next = state.withLock { state -> [@Sendable () -> Void] in
            state.bytes -= count
            if isLast { state.streams -= 1 }
            guard state.bytes < limit, !state.waiting.isEmpty else { return [] }
            let turns = min(state.waiting.count, max(1, (limit - state.bytes) / batchBytes))
            defer { state.waiting.removeFirst(turns) }
            return Array(state.waiting.prefix(turns))
        }
        for goOn in next { goOn() }
    }
}
