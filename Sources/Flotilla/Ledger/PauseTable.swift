package import Model

/// Why a partition is not fetched. It is paused while there is any reason.
package struct PauseReasons: OptionSet, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Enough of it is unfinished.
    package static let window = PauseReasons(rawValue: 1)
    /// Its first record is not due yet.
    package static let due = PauseReasons(rawValue: 2)
    /// Something that the handler needs is down.
    package static let breaker = PauseReasons(rawValue: 4)
    /// Somebody said so.
    package static let `operator` = PauseReasons(rawValue: 8)

    package static let each: [PauseReasons] = [.window, .due, .breaker, .operator]

    package var description: String {
        [(Self.window, "window"), (.due, "due"), (.breaker, "breaker"), (.operator, "operator")]
            .filter { contains($0.0) }.map(\.1).joined(separator: ",")
    }
}

/// Which partitions are paused, and why.
///
/// Only this table pauses and resumes: librdkafka cannot be asked what is paused, and resuming a partition that runs
/// rewinds it. A partition that comes with a new assignment is not paused there, whatever it was before, so what an
/// operator wants is applied again.
package struct PauseTable: Sendable {
    /// What to tell the consumer.
    package enum Change: Hashable, Sendable {
        case pause, resume
    }

    private var reasons: [TopicPartition: PauseReasons] = [:]
    private var assigned: Set<TopicPartition> = []

    package init() {}

    package subscript(place: TopicPartition) -> PauseReasons { reasons[place] ?? [] }

    /// All that is paused now.
    package var paused: [TopicPartition: PauseReasons] { reasons.filter { assigned.contains($0.key) } }

    /// One more reason. Nothing to tell when it was paused already or is not ours.
    package mutating func set(_ reason: PauseReasons, _ place: TopicPartition) -> Change? {
        let before = self[place]
        guard assigned.contains(place) || reason == .operator else { return nil }
        reasons[place] = before.union(reason)
        return before.isEmpty && assigned.contains(place) ? .pause : nil
    }

    /// One reason less.
    package mutating func clear(_ reason: PauseReasons, _ place: TopicPartition) -> Change? {
        guard let before = reasons[place], !before.isDisjoint(with: reason) else { return nil }
        let after = before.subtracting(reason)
        reasons[place] = after.isEmpty ? nil : after
        return after.isEmpty && assigned.contains(place) ? .resume : nil
    }

    /// These are ours now; those to be paused at once.
    package mutating func assigned(_ places: [TopicPartition]) -> [TopicPartition] {
        for place in places {
            assigned.insert(place)
            let kept = self[place].intersection(.operator)
            reasons[place] = kept.isEmpty ? nil : kept
        }
        return places.filter { !self[$0].isEmpty }
    }

    /// These are no longer ours; only what an operator wants of them is kept.
    package mutating func revoked(_ places: [TopicPartition]) {
        for place in places {
            assigned.remove(place)
            let kept = self[place].intersection(.operator)
            reasons[place] = kept.isEmpty ? nil : kept
        }
    }
}
