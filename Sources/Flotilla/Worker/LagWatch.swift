internal import Contracts
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// How far a worker's partitions are behind: looked at every ten seconds for as long as somebody reads the figures.
///
/// What a group has not committed is no measure of work: of a retry topic nothing can be done before its time, of a
/// partition that stands still for a dependency or an operator nothing at all, and what retention has deleted will never
/// come. So each partition tells how much waits, and whether more workers would help.
final class LagWatch: Sendable {
    private let state = Mutex(State())

    private struct State {
        var lags: [TopicPartition: PartitionLag] = [:]
        var asked: Int64?
        /// Where nothing had come of a partition, what waits there was seen first.
        var waitingSince: [TopicPartition: Int64] = [:]
    }

    static let interval: Int64 = 10_000
    /// Nobody has asked for so long: nobody will.
    private static let attention: Int64 = 120_000

    /// What was found last. From now on it is looked for again and again.
    func read(now: Int64) -> [TopicPartition: PartitionLag] {
        state.withLock { state in
            state.asked = now
            return state.lags
        }
    }

    func isWanted(now: Int64) -> Bool { state.withLock { $0.asked.map { now - $0 < Self.attention } ?? false } }

    /// Asks the broker where partitions end. One that it does not tell of keeps what was known.
    func look(_ runners: [PartitionRunner], _ core: WorkerCore) async {
        let unread = runners.filter { $0.standing.position == nil }.map(\.place)
        let committed = unread.isEmpty ? [:] : (try? await core.source.committed(unread)) ?? [:]
        var found: [TopicPartition: PartitionLag] = [:]
        for runner in runners {
            guard runner.mode == .open else { continue }
            let place = runner.place
            guard let marks = try? await core.source.bounds(of: place, within: .seconds(5)) else {
                found[place] = state.withLock { $0.lags[place] }
                continue
            }
            let (position, oldest) = runner.standing
            let next = max(position ?? committed[place] ?? marks.low, marks.low)
            found[place] = lag(of: runner, core, count: max(0, marks.high.rawValue - next.rawValue), oldest)
        }
        state.withLock { state in
            state.lags = found
            state.waitingSince = state.waitingSince.filter { found[$0.key] != nil }
        }
    }

    private func lag(of runner: PartitionRunner, _ core: WorkerCore, count: Int64, _ oldest: Int64?) -> PartitionLag {
        let (place, now, wall) = (runner.place, core.now, core.wallNow)
        let since = state.withLock { state -> Int64? in
            guard count > 0 else {
                state.waitingSince[place] = nil
                return nil
            }
            let since = state.waitingSince[place] ?? now
            state.waitingSince[place] = since
            return since
        }
        guard let since else { return PartitionLag(records: 0, milliseconds: 0, actionable: 0) }
        // A record that nobody has seen yet is as old as its being there, at least.
        var age = oldest.map { max(0, wall - $0) } ?? now - since
        var actionable = count
        if let tier = runner.role.tier {
            actionable = Int64(runner.due(writtenBy: wall - tier.delay.milliseconds))
            age = max(0, age - tier.delay.milliseconds)
        }
        let paused = core.paused[place] ?? []
        if paused.contains(.breaker) || paused.contains(.operator) { actionable = 0 }
        return PartitionLag(records: count, milliseconds: age, actionable: actionable)
    }
}

/// How far a partition is behind.
package struct PartitionLag: Hashable, Sendable {
    /// Records that the log has and that are not finished.
    package let records: Int64
    /// For how long the oldest of them has waited; in a retry topic since its time came.
    package let milliseconds: Int64
    /// Those of them that a worker could do something about now.
    package let actionable: Int64
}
