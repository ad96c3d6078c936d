internal import Contracts
internal import Model
internal import Platform

/// What a worker counts: of each topic that its handler reads, and of itself. Told by /metrics and the heartbeat.
///
/// Labels are names of topics, tiers and reasons, which topic files bound; nothing that an event brings is one.
package final class WorkerFigures: Sendable {
    let topics: [TopicFigures]
    private let byName: [TopicName: TopicFigures]
    /// Records that the log has, by the plain names of the topics that they went to.
    let sent: [(topic: TopicName, count: Counter)]
    private let sentByName: [TopicName: Counter]
    let claims = Dictionary(uniqueKeysWithValues: ClaimResult.allCases.map { ($0, Counter()) })
    /// How replayed records ended, in whichever topic: one that fails again goes through the retry topics like any other.
    let replays = Dictionary(uniqueKeysWithValues: ReplayEnding.allCases.map { ($0, Counter()) })
    let rebalances = Dictionary(uniqueKeysWithValues: Rebalance.allCases.map { ($0, Counter()) })

    enum Rebalance: String, CaseIterable, Sendable { case assigned, revoked, lost }

    package enum ReplayEnding: String, CaseIterable, Sendable { case done, repeats = "repeat", dead }

    /// What the once-only memory answers. `repeats` were done before; `busy` ones somebody is at work on; `unasked` ones
    /// were handled while it was away; `stale` ones it had forgotten, or given to somebody else, when they were done.
    enum ClaimResult: String, CaseIterable, Sendable { case granted, repeats = "repeat", busy, unasked, stale }

    init(_ job: HandlerJob) {
        let figures = job.topics.map { ($0.key, TopicFigures($0.value)) }
        byName = Dictionary(figures, uniquingKeysWith: { first, _ in first })
        topics = figures.map(\.1).sorted { $0.topic < $1.topic }
        let produced = Set(job.topics.values.flatMap(\.policy.produces)).sorted()
        sent = produced.map { ($0, Counter()) }
        sentByName = Dictionary(
            sent.map { (job.namespace.topic($0.topic), $0.count) }, uniquingKeysWith: { first, _ in first })
    }

    /// Of a topic by the name that the servers know; one that nobody reads counts for itself.
    func figures(of topic: TopicName, _ role: TopicRole) -> TopicFigures { byName[topic] ?? TopicFigures(role) }

    /// Outputs that the log has acknowledged.
    func published(_ batch: OutgoingBatch) {
        if batch.topics.count == 1 { return sentByName[batch.topics[0]]?.add(batch.count) ?? () }
        for entry in batch.entries { sentByName[batch.topics[Int(entry.topic)]]?.add() }
    }

    /// Records of a replay's job have come to their end; the others are not counted.
    func ended(_ states: some Sequence<RetryState?>, _ ending: ReplayEnding) {
        let count = states.count { $0?.replayJob != nil }
        if count > 0 { replays[ending]?.add(count) }
    }

    package var consumed: Int { sum { $0.consumed } }
    package var done: Int { sum { $0.done } }
    package var repeats: Int { sum { $0.repeats } }
    package var published: Int { sent.reduce(0) { $0 + $1.count.value } }
    package var retried: Int { topics.reduce(0) { $0 + $1.retried.reduce(0) { $0 + $1.count.value } } }
    package func replayed(_ ending: ReplayEnding) -> Int { replays[ending]?.value ?? 0 }
    package var deadLettered: Int { topics.reduce(0) { $0 + $1.dead.values.reduce(0) { $0 + $1.value } } }

    private func sum(_ figure: (TopicFigures) -> Counter) -> Int {
        topics.reduce(0) { $0 + figure($1).value }
    }
}

/// What is counted of one topic that a handler reads.
final class TopicFigures: Sendable {
    /// Its plain name.
    let topic: TopicName
    let consumed = Counter()
    /// Events that went well, and those that the memory or a position knew.
    let done = Counter()
    let repeats = Counter()
    let retried: [(tier: RetryTier, count: Counter)]
    let dead = Dictionary(uniqueKeysWithValues: DeadLetterReason.allCases.map { ($0, Counter()) })
    /// Calls of the handler, an event each: well, failed, and those that something was missing for.
    let succeeded = Counter()
    let failed = Counter()
    let missing = Counter()
    let durations = Durations()

    init(_ role: TopicRole) {
        topic = role.topic
        retried = role.policy.retry.tiers.map { ($0, Counter()) }
    }

    func called(_ judgement: Judgement) {
        succeeded.add(judgement.done.count)
        failed.add(judgement.disposals.count + judgement.again.count)
        if judgement.missing != nil { missing.add() }
    }

    func retried(_ tier: RetryTier) { retried.first { $0.tier == tier }?.count.add() }
}
