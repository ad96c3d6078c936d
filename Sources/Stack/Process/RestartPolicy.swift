/// When a process that died is started again: at once, then after longer and longer, and at once again for one that has
/// worked for a while.
struct RestartPolicy: Hashable, Sendable {
    static let first: Int64 = 100
    static let longest: Int64 = 10_000
    /// One that ran for so long had no trouble starting.
    static let settled: Int64 = 30_000

    private(set) var deaths = 0
    /// Also those of one that had settled: this never falls, so a process that dies every minute is seen to.
    private(set) var allDeaths = 0

    /// Notes a death after `ran` milliseconds, and says how long to wait before the next start.
    mutating func died(after ran: Int64) -> Int64 {
        if ran >= Self.settled { deaths = 0 }
        deaths += 1
        allDeaths += 1
        // Seven doublings are more than the longest.
        return min(Self.longest, Self.first << Int64(min(deaths - 1, 7)))
    }
}
