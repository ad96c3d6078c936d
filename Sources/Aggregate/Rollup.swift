/// What one window of one series holds.
struct Rollup: Sendable {
    var count: Int64 = 0
    var sum = MicrosSum.zero
    var uniques = UniqueSketch()
    var quantiles = QuantileSketch()

    /// About how much memory it takes.
    var bytes: Int { 160 + uniques.memory + quantiles.memory }

    mutating func add(_ delta: RollupDelta) {
        count = count.addingReportingOverflow(delta.count).overflow ? .max : count + delta.count
        sum += delta.sum
        for value in delta.values { quantiles.insert(value) }
        uniques.insert(hashes: delta.users)
    }
}

/// What came to a window since it was written. Values and users are only listed: the sketches take them when the window
/// is written, all in one go.
struct RollupDelta: Sendable {
    private(set) var count: Int64 = 0
    private(set) var sum = MicrosSum.zero
    private(set) var values: [Micros] = []
    private(set) var users: [UInt64] = []

    var isEmpty: Bool { count == 0 }
    /// So many are better off in the sketches, if those are at hand.
    var isLong: Bool { values.count >= 256 || users.count >= 256 }

    mutating func add(_ value: Micros?, _ user: UInt64?) {
        count += 1
        if let value {
            sum += value
            values.append(value)
        }
        if let user { users.append(user) }
    }

    mutating func removeAll() {
        count = 0
        sum = .zero
        values.removeAll(keepingCapacity: values.capacity <= 16)
        users.removeAll(keepingCapacity: users.capacity <= 16)
    }
}
