internal import Model
internal import Platform

/// What is known of a partition without asking Postgres: windows as they were written last, and what came since.
///
/// It is a copy, and it is believed only while it is known to be one: see `MemoryTable`.
final class PartitionMemory: @unchecked Sendable {
    // Unchecked: it is in the table, or with the one transaction that has taken it out of there.

    /// The mark that the transaction left which brought it to where it is.
    var stamp: Int64 = 0
    private(set) var campaigns: [ByteText: Campaign] = [:]
    /// Minutes with something that is not written.
    private(set) var dirty: [MinuteState] = []
    /// How many points came since windows were written.
    private(set) var points = 0
    /// About how many bytes it takes.
    private(set) var bytes = 0
    private(set) var writes: UInt64 = 0
    /// When windows are to be written next, and how long that was from the last time.
    var nextWrite: Int64 = 0
    var pause: Int64 = 0
    /// When all windows that had ended were told last, or first found waiting; nil before.
    var toldAt: Int64?

    /// Whether it is too early to write windows. A clock that was put back keeps nothing waiting.
    func mayWait(_ now: Int64) -> Bool { nextWrite > now && now >= nextWrite - pause }
    private var entries: UInt64 = 0

    /// What a window, a series and its names take beside their sketches, roughly.
    private static let windowBytes = 500

    // MARK: Points

    func campaign(_ name: ByteText) -> Campaign {
        if let campaign = campaigns[name] { return campaign }
        let campaign = Campaign(name)
        campaigns[name] = campaign
        return campaign
    }

    /// A number for the next journal entry.
    func nextEntry() -> UInt64 {
        entries += 1
        return entries
    }

    /// Adds a point to the windows of its series.
    func add(_ metric: Metric, _ parts: [Series], _ time: Int64, _ value: Micros?, _ user: UInt64?) {
        points += 1
        guard let start = Window(.minute, containing: time)?.start else { return }
        add(metric.whole, start, value, user)
        for series in parts { add(series, start, value, user) }
    }

    private func add(_ series: Series, _ start: Int64, _ value: Micros?, _ user: UInt64?) {
        let minute = series.minute(start) { reckon($0, Self.windowBytes) }
        minute.delta.add(value, user)
        if minute.delta.isLong { minute.settle() }
        guard !minute.isDirty else { return }
        minute.isDirty = true
        dirty.append(minute)
    }

    /// Adds what a journal entry tells.
    func replay(_ entry: [UInt8]) throws(SketchFault) {
        var reader = try JournalReader(entry)
        while let point = try reader.next() {
            let metric = campaign(point.campaign).metric(point.metric)
            add(metric, point.parts.map { metric.part($0) }, point.time, point.value, point.user)
        }
    }

    // MARK: Writing

    /// The windows that are to be written, each with the minutes that it has to take first.
    func toWrite() -> [WindowState] {
        var states: [WindowState] = []
        for minute in dirty {
            for state in minute.windows {
                if state.waiting.isEmpty { states.append(state) }
                state.waiting.append(minute)
            }
        }
        return states
    }

    /// Whether something waits to be written in windows that have ended.
    func hasEnded(by closed: Int64) -> Bool {
        dirty.contains { minute in minute.windows.contains { $0.window.end <= closed } }
    }

    /// Everything is written that was not.
    func wrote() {
        for minute in dirty {
            minute.delta.removeAll()
            minute.isDirty = false
        }
        dirty.removeAll(keepingCapacity: true)
        points = 0
        writes += 1
    }

    /// A window is as Postgres has it now.
    func settled(_ state: WindowState) {
        state.lastWrite = writes
        reckon(state, Self.windowBytes + (state.stored?.bytes ?? 0))
    }

    /// A campaign's values are another set now.
    func settled(_ values: CampaignValues) {
        let now = values.admitted?.memory ?? 0
        bytes += now - values.reckoned
        values.reckoned = now
    }

    func forget(_ state: WindowState) {
        reckon(state, 0)
        state.series.forget(state)
    }

    /// Forgets the windows that were not written for longest, until what is left takes a good deal less than `limit`. To be
    /// called when nothing is dirty.
    func shrink(to limit: Int) {
        guard bytes > limit else { return }
        let all = campaigns.values.flatMap { $0.metrics.values.flatMap { [$0.whole] + Array($0.parts.values) } }
            .flatMap(\.windows.values).sorted { $0.lastWrite < $1.lastWrite }
        for state in all where bytes > limit / 4 * 3 {
            forget(state)
            state.series.forgetMinutes()
        }
        for (name, campaign) in campaigns {
            for (name, metric) in campaign.metrics {
                metric.parts = metric.parts.filter { !$0.value.windows.isEmpty }
                if metric.parts.isEmpty, metric.whole.windows.isEmpty { campaign.metrics[name] = nil }
            }
            guard campaign.metrics.isEmpty else { continue }
            bytes -= campaign.values.reckoned
            campaigns[name] = nil
        }
    }

    private func reckon(_ state: WindowState, _ now: Int) {
        bytes += now - state.reckoned
        state.reckoned = now
    }
}
