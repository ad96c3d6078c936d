/// What one window of one series holds.
struct Rollup: Sendable {
    var count: Int64 = 0
    var sum = MicrosSum.zero
    var uniques = UniqueSketch()
    var quantiles = QuantileSketch()

    mutating func add(_ point: Point) {
        count += 1
        if let value = point.value {
            sum += value
            quantiles.insert(value)
        }
        if let user = point.user { uniques.insert(user) }
    }

    mutating func merge(_ other: Rollup) {
        count += other.count
        sum += other.sum
        uniques.merge(other.uniques)
        quantiles.merge(other.quantiles)
    }
}

/// Which window of which series.
struct RollupKey: Hashable, Sendable {
    let campaign: String
    let metric: String
    let window: Window
    /// Empty for the series over everything.
    var dimension = ""
    var value = ""
}
