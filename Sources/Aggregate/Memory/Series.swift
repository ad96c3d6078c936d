internal import Model

// What a partition's memory is made of: campaigns, their metrics, the series of a metric (one over everything, one for
// each value of a dimension), and the windows of a series. Found by one look-up a level, because every point goes this
// way.

/// A campaign that came by this partition.
final class Campaign {
    let name: ByteText
    let values = CampaignValues()
    var metrics: [ByteText: Metric] = [:]

    init(_ name: ByteText) { self.name = name }

    func metric(_ name: ByteText) -> Metric {
        if let metric = metrics[name] { return metric }
        let metric = Metric(campaign: self.name, name: name, values)
        metrics[name] = metric
        return metric
    }
}

/// Which values of its dimensions have series of their own.
final class CampaignValues {
    /// Nil until it is asked for.
    var admitted: CardinalityGuard?
    var hasNew = false
    /// How many bytes they are reckoned at.
    var reckoned = 0
}

/// One metric of a campaign.
final class Metric {
    let campaign: ByteText
    let values: CampaignValues
    let name: ByteText
    /// The series over everything.
    let whole: Series
    var parts: [Part: Series] = [:]
    var mark = JournalMark()

    struct Part: Hashable {
        let dimension: ByteText
        let value: ByteText
    }

    init(campaign: ByteText, name: ByteText, _ values: CampaignValues) {
        self.campaign = campaign
        self.values = values
        self.name = name
        whole = Series(campaign, name, nil)
    }

    func part(_ part: Part) -> Series {
        if let series = parts[part] { return series }
        let series = Series(campaign, name, part)
        parts[part] = series
        return series
    }
}

/// One series: a metric of a campaign, over everything or for one value of a dimension.
final class Series {
    let campaign: ByteText
    let metric: ByteText
    let part: Metric.Part?
    private(set) var windows: [Window: WindowState] = [:]
    private var minutes: [Int64: MinuteState] = [:]
    /// The minute that was asked for last: mostly it is the one that is asked for next.
    private var latest: MinuteState?
    var mark = JournalMark()

    init(_ campaign: ByteText, _ metric: ByteText, _ part: Metric.Part?) {
        (self.campaign, self.metric, self.part) = (campaign, metric, part)
    }

    /// The state of the minute that begins then; `makes` is told of each of its windows that is new.
    func minute(_ start: Int64, _ makes: (WindowState) -> Void) -> MinuteState {
        if let latest, latest.start == start { return latest }
        let found =
            minutes[start]
            ?? MinuteState(
                start,
                Window.all(containing: start).map { window in
                    if let state = windows[window] { return state }
                    let state = WindowState(self, window)
                    windows[window] = state
                    makes(state)
                    return state
                })
        minutes[start] = found
        latest = found
        return found
    }

    func forget(_ state: WindowState) { windows[state.window] = nil }

    /// Minutes are found anew, after windows were forgotten. Not while one is dirty.
    func forgetMinutes() {
        minutes = [:]
        latest = nil
    }
}

/// What came in one minute of one series, and the windows that it is in. The three of them get the same, so that it is
/// noted once.
final class MinuteState {
    let start: Int64
    let windows: [WindowState]
    var delta = RollupDelta()
    var isDirty = false

    init(_ start: Int64, _ windows: [WindowState]) {
        self.start = start
        self.windows = windows
    }

    /// Has the windows take what came, if all of them know what they had before.
    func settle() {
        guard windows.allSatisfy({ $0.stored != nil }) else { return }
        for window in windows { window.stored?.add(delta) }
        delta.removeAll()
    }
}

/// One window of one series, as far as this process knows it.
final class WindowState {
    unowned let series: Series
    let window: Window
    /// What Postgres has, and what came since and is settled; nil when Postgres was not asked.
    var stored: Rollup?
    /// Minutes with something that is still to be settled, while windows are being written.
    var waiting: [MinuteState] = []
    /// When it was last written, in writes of the partition.
    var lastWrite: UInt64 = 0
    /// How many bytes it is reckoned at.
    var reckoned = 0

    init(_ series: Series, _ window: Window) {
        self.series = series
        self.window = window
    }

    func settle() {
        for minute in waiting { stored?.add(minute.delta) }
        waiting = []
    }
}

/// Which number something has in the journal entry that is being written.
struct JournalMark {
    var entry: UInt64 = 0
    var number: UInt64 = 0
}
