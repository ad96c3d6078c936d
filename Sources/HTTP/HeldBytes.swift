internal import Synchronization

/// What all requests keep of their bodies, which has a bound; and half of that for each of those whom the handler names,
/// so that nobody keeps the others out.
final class HeldBytes: Sendable {
    private let limit: Int
    private let total = Atomic<Int>(0)
    /// By payer: what their requests keep, each beyond `free`.
    private let shares = Mutex<[String: Int]>([:])

    /// So much of a request is nobody's: most keep no more, and cost nothing here.
    private static let free = 16 << 10

    init(limit: Int) { self.limit = limit }

    var count: Int { total.load(ordering: .relaxed) }

    /// Notes that a request keeps `new` bytes and no longer `old`; whether there is room for it.
    func change(from old: Int, to new: Int, of payer: String?) -> Bool {
        guard old != new else { return true }
        let hasRoom = total.add(new - old, ordering: .relaxed).newValue <= limit
        let more = max(0, new - Self.free) - max(0, old - Self.free)
        guard let payer, more != 0 else { return hasRoom || new < old }
        let share = shares.withLock { shares in
            let share = shares[payer, default: 0] + more
            shares[payer] = share == 0 ? nil : share
            return share
        }
        return hasRoom && share <= limit / 2 || new < old
    }
}
