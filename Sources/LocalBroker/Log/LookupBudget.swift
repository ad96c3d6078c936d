/// How much one request's lookups by time may read and decompress. A lookup trusts what batches say of their times, which
/// a producer may have made up: then it opens one batch after another, to the end of the log. And a request may ask for
/// thousands of partitions. When the budget is spent, lookups go on and are less exact.
final class LookupBudget {
    private(set) var bytes: Int

    init(bytes: Int = 64 << 20) { self.bytes = bytes }

    var isSpent: Bool { bytes <= 0 }

    func spend(_ count: Int) { bytes -= min(max(count, 0), max(bytes, 0)) }
}
