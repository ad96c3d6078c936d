/// What a rule remembers of one series: how it stands with its threshold, and until when it is silent.
///
/// A value: windows in, signals out, time a parameter. Windows are judged in the order of their starts. The last one may
/// come again, amended, and is judged anew from where the alarm stood before it; one before the last changes nothing any
/// more. Each firing that is told has a number, which its end has too: an amendment may end one, and the next one begin it
/// again.
struct Alarm: Hashable, Sendable, Codable {
    enum Phase: Hashable, Sendable, Codable {
        case calm
        /// Beyond the limit since the window that starts here, but not for long enough.
        case pending(since: Int64)
        case firing(since: Int64, isTold: Bool)

        var isFiring: Bool { if case .firing = self { true } else { false } }
        var name: String {
            switch self {
            case .calm: "calm"
            case .pending: "pending"
            case .firing: "firing"
            }
        }
    }

    private(set) var phase = Phase.calm
    /// Before the last window.
    private var before = Phase.calm
    /// The start of the last window; nil before the first.
    private(set) var seen: Int64?
    /// What the last window measured, and the one before.
    private(set) var latest: Double?
    private var previous: Double?
    /// No notification before this time.
    private var coolUntil: Int64 = 0
    /// How many were not sent since the last one.
    private var suppressed = 0
    /// How many firings were told.
    private var told = 0

    enum Signal: Hashable, Sendable {
        case firing(since: Int64, suppressed: Int)
        case resolved(since: Int64)
        case changed(percent: Double, previous: Double, suppressed: Int)
    }

    /// A signal, and the start of the window that it is about: nobody may have told of that one.
    struct Found: Hashable, Sendable {
        let start: Int64
        let signal: Signal
        /// Which of the firings that were told it is, or ends.
        let number: Int
    }

    /// How time stands when something is judged.
    struct Moment: Sendable {
        var now: Int64
        /// Whether what is judged is young enough to tell anybody.
        var isFresh: Bool
    }

    // MARK: Thresholds

    /// Judges a window: its start, what it measured, nil for nothing.
    mutating func see(
        _ start: Int64, _ value: Double?, step: Int64, empty: Double?, _ threshold: Threshold, coolDown: Int64,
        _ moment: Moment
    ) -> [Found] {
        var found: [Found] = []
        if let seen, start > seen + step {
            // Nobody has told of those in between. The first and the last of them are all that there is to judge.
            for missing in Set([seen + step, start - step]).sorted() {
                found += judge(missing, empty, step, threshold, coolDown, moment)
            }
        }
        return found + judge(start, value, step, threshold, coolDown, moment)
    }

    private mutating func judge(
        _ start: Int64, _ value: Double?, _ step: Int64, _ threshold: Threshold, _ coolDown: Int64, _ moment: Moment
    ) -> [Found] {
        if let seen, start < seen { return [] }
        if start != seen { before = phase }
        note(start, value)
        let next = Self.next(after: before, start, value, step, threshold)
        switch (phase, next) {
        case (.firing(let since, let isTold), .firing):
            guard !isTold, moment.isFresh, moment.now >= coolUntil else { return [] }
            phase = .firing(since: since, isTold: true)
            return [tell(start, since, coolDown, moment)]
        case (_, .firing(let since, _)):
            let tells = moment.isFresh && moment.now >= coolUntil
            phase = .firing(since: since, isTold: tells)
            if tells { return [tell(start, since, coolDown, moment)] }
            if moment.isFresh { suppressed += 1 }
            return []
        case (.firing(let since, true), _):
            phase = next
            return [Found(start: start, signal: .resolved(since: since), number: told)]
        case (_, _):
            phase = next
            return []
        }
    }

    private mutating func tell(_ start: Int64, _ since: Int64, _ coolDown: Int64, _ moment: Moment) -> Found {
        // What is told now was counted when it had to wait.
        defer { (coolUntil, suppressed) = (moment.now + coolDown, 0) }
        told &+= 1
        return Found(start: start, signal: .firing(since: since, suppressed: suppressed), number: told)
    }

    private static func next(
        after phase: Phase, _ start: Int64, _ value: Double?, _ step: Int64, _ threshold: Threshold
    ) -> Phase {
        let isBeyond = value.map(threshold.isBeyond) ?? false
        let since: Int64
        switch phase {
        case .firing(let since, let isTold):
            let isGood = value.map(threshold.isGood) ?? true
            return isGood ? .calm : .firing(since: since, isTold: isTold)
        case .calm: since = start
        case .pending(let first): since = first
        }
        guard isBeyond else { return .calm }
        return start + step - since >= threshold.milliseconds
            ? .firing(since: since, isTold: false) : .pending(since: since)
    }

    private mutating func note(_ start: Int64, _ value: Double?) {
        if start != seen { previous = latest }
        (seen, latest) = (start, value)
    }

    // MARK: Changes

    /// Compares a window with the one before it.
    mutating func compare(
        _ start: Int64, _ value: Double?, step: Int64, empty: Double?, _ change: Change, coolDown: Int64,
        _ moment: Moment
    ) -> [Found] {
        var found: [Found] = []
        if let seen, start > seen + step {
            for missing in Set([seen + step, start - step]).sorted() {
                found += compare(missing, empty, change, coolDown, moment)
            }
        }
        return found + compare(start, value, change, coolDown, moment)
    }

    private mutating func compare(
        _ start: Int64, _ value: Double?, _ change: Change, _ coolDown: Int64, _ moment: Moment
    ) -> [Found] {
        if let seen, start < seen { return [] }
        note(start, value)
        guard let previous, let value, let percent = change.excess(from: previous, to: value), moment.isFresh else {
            return []
        }
        guard let suppressed = pass(coolDown, moment) else { return [] }
        let signal = Signal.changed(percent: percent, previous: previous, suppressed: suppressed)
        return [Found(start: start, signal: signal, number: told)]
    }

    // MARK: Cool-down

    /// Whether something may be told now, and how much was not since the last time; nil when it may not.
    mutating func pass(_ coolDown: Int64, _ moment: Moment) -> Int? {
        guard moment.isFresh else { return nil }
        guard moment.now >= coolUntil else {
            suppressed += 1
            return nil
        }
        defer { (coolUntil, suppressed) = (moment.now + coolDown, 0) }
        return suppressed
    }
}

extension Threshold {
    fileprivate var milliseconds: Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
