internal import AdminPort
internal import Flotilla
internal import JSON
internal import Platform
internal import Synchronization

/// What the worker of the dead letters counts since it began, and what it saw when it last looked.
final class FollowerGauges: Sendable {
    let topics = Atomic<Int>(0)
    let letters = Atomic<Int>(0)
    let outcomes = Atomic<Int>(0)
    let published = Atomic<Int>(0)
    /// Nil before the first look, and when another process may look: what was seen then is nobody's figure any more.
    let look = Mutex<Look?>(nil)

    struct Look: Sendable {
        var open = 0
        var expiring = 0
        /// Replays that are paused or were stopped.
        var standing = 0
        /// When the oldest that is open became a dead letter, in milliseconds; nil when none is.
        var oldestOpen: Int64?
    }

    /// Records that were taken in.
    var taken: Int { letters.load(ordering: .relaxed) + outcomes.load(ordering: .relaxed) }

    func write(to text: inout MetricsText, follows: Bool, standsBy: Bool) {
        text.add(
            "flotilla_deadletters_follows", .gauge, "1 while this process follows the dead letters.", follows ? 1 : 0)
        text.add(
            "flotilla_deadletters_stands_by", .gauge, "1 while another process follows the dead letters.",
            standsBy ? 1 : 0)
        text.add(
            "flotilla_deadletters_topics", .gauge, "Dead-letter topics that are followed.",
            Double(topics.load(ordering: .relaxed)))
        text.add(
            "flotilla_deadletters_indexed_total", .counter, "Dead letters that were taken into the index.",
            Double(letters.load(ordering: .relaxed)))
        text.add(
            "flotilla_deadletters_outcomes_total", .counter, "Outcomes of replays that were taken into the index.",
            Double(outcomes.load(ordering: .relaxed)))
        text.add(
            "flotilla_deadletters_replayed_total", .counter, "Records that were published again.",
            Double(published.load(ordering: .relaxed)))
        guard let look = look.withLock({ $0 }) else { return }
        text.add(
            "flotilla_deadletters_open", .gauge, "Dead letters that are open, or wait in a replay.", Double(look.open))
        text.add(
            "flotilla_deadletters_standing", .gauge, "Replays that are paused or were stopped.", Double(look.standing))
        text.add(
            "flotilla_deadletters_expiring", .gauge,
            "Dead letters, open or in a replay, that their topic's retention deletes within 72 hours, or half of it when that is less.",
            Double(look.expiring))
        text.add(
            "flotilla_deadletters_oldest_seconds", .gauge, "How long ago the oldest that is open became a dead letter.",
            look.oldestOpen.map { max(0, Double(Time.wallMilliseconds - $0) / 1000) } ?? 0)
    }

    /// As every handler's part of a heartbeat.
    func write(to json: inout JSONWriter, pause: OperatorPause?, obstacles: [String], standsBy: Bool) {
        json.member("handler", "deadletters")
        json.member("consumed", taken)
        json.member("done", taken)
        json.member("published", Int64(published.load(ordering: .relaxed)))
        for name in ["repeats", "retried", "dead_lettered", "in_flight"] { json.member(name, 0) }
        json.array("missing") { list in for obstacle in obstacles { list.append(obstacle) } }
        if standsBy { json.member("stands_by", true) }
        json.array("floods") { _ in }
        json.array("partitions") { _ in }
        json.array("operator") { list in
            guard let pause else { return }
            list.object { json in
                json.member("reason", pause.reason)
                json.member("by", pause.by)
                json.member("at", pause.at)
            }
        }
        json.object("paused") { _ in }
    }
}
