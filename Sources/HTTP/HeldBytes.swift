internal import Synchronization

/// What all requests keep of their bodies, which has a bound.
final class HeldBytes: Sendable {
    private let limit: Int
    private let total = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    var count: Int { total.load(ordering: .relaxed) }

    /// Notes so much more, or less; whether there is room for it.
    func add(_ count: Int) -> Bool {
        guard count != 0 else { return true }
        return total.add(count, ordering: .relaxed).newValue <= limit || count < 0
    }
}
