internal import Commands
internal import Contracts
internal import Kafka
internal import Model
internal import Platform

/// One look of the doctor at a handler's group: who works, how far it is, and what waits.
struct GroupLook: Sendable {
    let name: HandlerName
    private let members: Int
    private let state: String
    private let behind: Int64
    /// Partitions in which something waits, and what is to be done next in each.
    private let waiting: [TopicPartition: Offset]
    /// After how long the records of a retry topic may be tried.
    private let delays: [TopicName: Duration]
    /// Partitions that nobody has although the group has settled.
    private let orphans: Int

    init(_ name: HandlerName, _ catalog: TopicCatalog, _ admin: Admin) async throws(KafkaFault) {
        self.name = name
        let group = catalog.namespace.group(name)
        let described = try await admin.describe(group)
        var places: [TopicPartition] = []
        var delays: [TopicName: Duration] = [:]
        for subscription in catalog.subscriptions(of: name) {
            let topic = catalog.namespace.topic(subscription.topic.name)
            places += (0..<Int32(subscription.topic.partitions)).map { TopicPartition(topic, Partition($0)) }
            let family = TopicFamily(subscription.topic.name, name)
            for tier in subscription.policy.retry.tiers {
                delays[catalog.namespace.topic(family.retry("\(tier)"))] = tier.delay
            }
        }
        self.delays = delays
        let lags = try await admin.lag(of: group, on: Set(places.map(\.topic)))
        behind = lags.values.reduce(0) { $0 + max(0, $1.records) }
        waiting = lags.filter { $0.value.records > 0 }.mapValues {
            max($0.committed ?? $0.watermarks.low, $0.watermarks.low)
        }
        members = described.members.count
        state = "\(described.state)"
        let owned = Set(described.members.flatMap(\.partitions))
        orphans = state == "stable" ? places.count { !owned.contains($0) } : 0
    }

    var detail: String {
        "\(Words.count(members, "worker")), group \(state), \(Words.count(Int(clamping: behind), "record")) behind"
    }

    var subject: String { "handler \(name)" }

    /// Whether somebody has what waits, so that it is to become less.
    var shouldGetOn: Bool { members > 0 && orphans == 0 && behind > 0 }

    /// Where nothing was finished since another look, although something waits whose time has come.
    func still(since before: GroupLook, _ admin: Admin) async throws(KafkaFault) -> [TopicPartition: Offset] {
        var still = waiting.filter { before.waiting[$0.key] == $0.value }
        for (place, next) in still {
            guard let delay = delays[place.topic] else { continue }
            // Copies are written when they begin to wait; a worker needs a moment when the time has come.
            let due = Time.wallMilliseconds - delay.milliseconds - 5000
            let notDue = try await admin.offset(of: place, at: .time(due))
            if let notDue, notDue <= next { still[place] = nil }
        }
        return still
    }

    /// Whether something waits beside these.
    func waits(beside still: [TopicPartition: Offset]) -> Bool { waiting.keys.contains { still[$0] == nil } }

    var finding: Finding {
        if members == 0 {
            return Finding(
                subject: subject, state: .warning, detail: detail, advice: "nobody works: \(Program.name) work \(name)")
        }
        if orphans > 0 {
            return Finding(
                subject: subject, state: .failed,
                detail: "\(detail); nobody has \(Words.count(orphans, "partition"))",
                advice: "restart its workers one after the other")
        }
        return Finding(subject: subject, state: .ok, detail: detail)
    }
}
