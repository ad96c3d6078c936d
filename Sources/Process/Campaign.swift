public import Model
public import Platform

/// A campaign: when it runs, what it may cost, what it is to reach, and how far it has come.
///
///     draft → scheduled → active ⇄ paused → completed
///
/// It changes only by commands and by time, and every change makes a new version. What may happen is decided here and
/// nowhere else.
public struct Campaign: Hashable, Sendable {
    public enum State: String, Hashable, Sendable, CaseIterable {
        case draft, scheduled, active, paused, completed
    }

    public let id: String
    public var name: String?
    public private(set) var state: State
    /// In millionths; nil is none set.
    public private(set) var budget: Int64?
    public private(set) var start: Timestamp?
    /// From here on it does not run any more.
    public private(set) var end: Timestamp?
    /// For each metric what is to be reached, in millionths.
    public private(set) var goals: [ByteText: Int64]
    /// 1 for a new one, one more with each change.
    public private(set) var version: Int64
    public private(set) var changed: Timestamp

    /// Why a command cannot be followed, in words for whoever sent it.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String

        init(_ description: String) { self.description = description }
    }

    /// A campaign as it was kept.
    public init(
        id: String, name: String?, state: State, budget: Int64?, start: Timestamp?, end: Timestamp?,
        goals: [ByteText: Int64], version: Int64, changed: Timestamp
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.budget = budget
        self.start = start
        self.end = end
        self.goals = goals
        self.version = version
        self.changed = changed
    }

    /// A new draft.
    public static func create(_ id: String, _ plan: Plan, at now: Timestamp) throws(Fault) -> Campaign {
        var campaign = Campaign(
            id: id, name: nil, state: .draft, budget: nil, start: nil, end: nil, goals: [:], version: 0, changed: now)
        try campaign.take(plan)
        campaign.become(.draft, now)
        return campaign
    }

    // MARK: Rules

    /// Why it may not be active at this time; nil when it may.
    public func reasonNotToActivate(at now: Timestamp) -> String? {
        if state == .completed { return "it is completed" }
        if state == .active { return "it is active already" }
        guard let budget, budget > 0 else { return "it has no budget" }
        if let start, start > now { return "it starts \(start): schedule it, or give it another start" }
        if let end, end <= now { return "it ended \(end)" }
        return nil
    }

    public func canActivate(at now: Timestamp) -> Bool { reasonNotToActivate(at: now) == nil }

    // MARK: Commands

    /// Sets when it is to run.
    public mutating func schedule(_ plan: Plan, at now: Timestamp) throws(Fault) {
        guard state == .draft || state == .scheduled else { throw Fault("cannot be scheduled: it is \(state)") }
        var changed = self
        try changed.take(plan)
        guard let start = changed.start else { throw Fault("cannot be scheduled without a start") }
        guard let budget = changed.budget, budget > 0 else { throw Fault("cannot be scheduled without a budget") }
        guard (changed.end ?? start) > now || changed.end == nil else {
            throw Fault("cannot be scheduled: it would have ended \(changed.end ?? start)")
        }
        self = changed
        become(.scheduled, now)
    }

    public mutating func activate(_ plan: Plan, at now: Timestamp) throws(Fault) {
        var changed = self
        if state != .completed, state != .active { try changed.take(plan) }
        if let reason = changed.reasonNotToActivate(at: now) { throw Fault("cannot be activated: \(reason)") }
        if changed.start == nil { changed.start = now }
        self = changed
        become(.active, now)
    }

    public mutating func pause(at now: Timestamp) throws(Fault) {
        guard state == .active else { throw Fault("cannot be paused: it is \(state)") }
        become(.paused, now)
    }

    public mutating func complete(at now: Timestamp) throws(Fault) {
        guard state == .active || state == .paused else { throw Fault("cannot be completed: it is \(state)") }
        become(.completed, now)
    }

    /// Time has passed. True when that changed something: what is scheduled starts, what has ended is completed.
    public mutating func pass(_ now: Timestamp) -> Bool {
        if let end, end <= now, state == .active || state == .paused || state == .scheduled {
            become(.completed, now)
            return true
        }
        if state == .scheduled, let start, start <= now {
            become(.active, now)
            return true
        }
        return false
    }

    private mutating func become(_ next: State, _ now: Timestamp) {
        state = next
        version += 1
        changed = max(changed, now)
    }

    private mutating func take(_ plan: Plan) throws(Fault) {
        name = plan.name ?? name
        budget = plan.budget ?? budget
        start = plan.start ?? start
        end = plan.end ?? end
        if let goals = plan.goals { self.goals = goals }
        if let start, let end, end <= start { throw Fault("would end \(end), before it starts \(start)") }
    }

    /// What a command brings along: only what is given changes.
    public struct Plan: Hashable, Sendable {
        public var name: String?
        public var budget: Int64?
        public var start: Timestamp?
        public var end: Timestamp?
        public var goals: [ByteText: Int64]?

        public init(
            name: String? = nil, budget: Int64? = nil, start: Timestamp? = nil, end: Timestamp? = nil,
            goals: [ByteText: Int64]? = nil
        ) {
            self.name = name
            self.budget = budget
            self.start = start
            self.end = end
            self.goals = goals
        }
    }
}
