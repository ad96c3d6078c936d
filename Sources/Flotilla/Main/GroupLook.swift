internal import Commands
internal import Contracts
internal import Kafka
internal import Model
internal import Platform

/// One look of the doctor at a handler's group: who works, how far it is, and what waits.
struct GroupLook: Sendable {
    let topics: GroupTopics
    private let members: Int
    private let state: String
    private let behind: Int64
    /// Partitions in which something waits, and what is to be done next in each.
    private let waiting: [TopicPartition: Offset]
    /// Where nobody told how much waits.
    let untold: Set<TopicPartition>
    /// Partitions that nobody has although the group has settled.
    private let orphans: Int

    init(_ topics: GroupTopics, _ admin: Admin) async throws(KafkaFault) {
        let described = try await admin.describe(topics.group)
        self.init(topics, described, try await admin.lag(of: topics.group, on: Set(topics.places.map(\.topic))))
    }

    init(_ topics: GroupTopics, _ described: GroupDescription, _ lags: GroupLags) {
        self.topics = topics
        behind = lags.told.values.reduce(0) { $0 + max(0, $1.records) }
        waiting = lags.told.filter { $0.value.records > 0 }.mapValues {
            max($0.committed ?? $0.watermarks.low, $0.watermarks.low)
        }
        untold = lags.untold
        members = described.members.count
        state = "\(described.state)"
        let owned = Set(described.members.flatMap(\.partitions))
        let read = Set(owned.map(\.topic))
        orphans =
            state == "stable"
            ? topics.places.count { !owned.contains($0) && (topics.isNamed || read.contains($0.topic)) } : 0
    }

    var detail: String {
        let least = untold.isEmpty ? "" : "at least "
        return "\(Words.count(members, "worker")), group \(state), "
            + "\(least)\(Words.count(Int(clamping: behind), "record")) behind"
    }

    var subject: String { "handler \(topics.name)" }

    /// Whether somebody has what waits, so that it is to become less.
    var shouldGetOn: Bool { members > 0 && orphans == 0 && behind > 0 }

    /// Whether there is anything to be said of it. What no topic file names and nobody works for any more is of the past
    /// when nothing waits.
    var isOfInterest: Bool { topics.isNamed || members > 0 || behind > 0 || !untold.isEmpty }

    /// Where nothing was finished since another look, although something waits whose time has come.
    func still(since before: GroupLook, _ admin: Admin) async throws(KafkaFault) -> [TopicPartition: Offset] {
        var still = waiting.filter { before.waiting[$0.key] == $0.value }
        for (place, next) in still {
            guard let delay = topics.delays[place.topic] else { continue }
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
            let advice =
                topics.isNamed
                ? "nobody works: \(Program.name) work \(topics.name)"
                : "nobody works: start its worker where its topic files are; when there is to be none any more, its group "
                    + "\(topics.group) may be deleted, as with kafka-consumer-groups.sh --delete --group"
            return Finding(subject: subject, state: .warning, detail: detail, advice: advice)
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
