// What a partition's memory is made of: campaigns, their metrics, the series of a metric (one over everything, one for
// each value of a dimension), and the windows of a series. Found by one look-up a level, because every point goes this
// way.

/// A campaign that came by this partition.
final class Campaign {
    let name: ByteText
    /// Nil until it is asked for.
    var values: CardinalityGuard?
    var hasNewValues = false
    /// How many bytes its values are reckoned at.
    var reckoned = 0
    var metrics: [ByteText: Metric] = [:]

    init(_ name: ByteText) { self.name = name }

    func metric(_ name: ByteText) -> Metric {
        if let metric = metrics[name] { return metric }
        let metric = Metric(campaign: self.name, name: name)
        metrics[name] = metric
        return metric
    }
}

/// One metric of a campaign.
final class Metric {
    let campaign: ByteText
    let name: ByteText
    /// The series over everything.
    let whole: Series
    var parts: [Part: Series] = [:]
    var mark = JournalMark()

    struct Part: Hashable {
        let dimension: ByteText
        let value: ByteText
    }

    init(campaign: ByteText, name: ByteText) {
        self.campaign = campaign
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
    /// The window of each step that was asked for last: mostly it is the one that is asked for next.
    private var latest: [WindowState?] = [nil, nil, nil]
    var mark = JournalMark()

    init(_ campaign: ByteText, _ metric: ByteText, _ part: Metric.Part?) {
        (self.campaign, self.metric, self.part) = (campaign, metric, part)
    }

    /// The state of a window, the `step`th of a time's windows; `makes` is told of one that is new.
    func state(_ step: Int, _ window: Window, _ makes: (WindowState) -> Void) -> WindowState {
        if let last = latest[step], last.window == window { return last }
        let found: WindowState
        if let state = windows[window] {
            found = state
        } else {
            found = WindowState(self, window)
            windows[window] = found
            makes(found)
        }
        latest[step] = found
        return found
    }

    func forget(_ state: WindowState) {
        windows[state.window] = nil
        for step in latest.indices where latest[step] === state { latest[step] = nil }
    }
}

/// One window of one series, as far as this process knows it.
final class WindowState {
    unowned let series: Series
    let window: Window
    /// What Postgres has, nil when it was not asked.
    var stored: Rollup?
    /// What came since; it is in the journal.
    var delta = RollupDelta()
    var isDirty = false
    /// When it was last written, in writes of the partition.
    var lastWrite: UInt64 = 0
    /// How many bytes it is reckoned at.
    var reckoned = 0

    init(_ series: Series, _ window: Window) {
        self.series = series
        self.window = window
    }
}

/// Which number something has in the journal entry that is being written.
struct JournalMark {
    var entry: UInt64 = 0
    var number: UInt64 = 0
}
