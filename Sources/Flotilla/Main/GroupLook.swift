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
    private let committed: [TopicPartition: Offset]
    /// Partitions that nobody has although the group has settled.
    private let orphans: Int

    init(_ name: HandlerName, _ catalog: TopicCatalog, _ admin: Admin) async throws(KafkaFault) {
        self.name = name
        let group = catalog.namespace.group(name)
        let described = try await admin.describe(group)
        var places: [TopicPartition] = []
        for subscription in catalog.subscriptions(of: name) {
            let topic = catalog.namespace.topic(subscription.topic.name)
            places += (0..<Int32(subscription.topic.partitions)).map { TopicPartition(topic, Partition($0)) }
        }
        let lags = try await admin.lag(of: group, on: Set(places.map(\.topic)))
        behind = lags.values.reduce(0) { $0 + max(0, $1.records) }
        committed = lags.compactMapValues(\.committed)
        members = described.members.count
        state = "\(described.state)"
        let owned = Set(described.members.flatMap(\.partitions))
        orphans = state == "stable" ? places.count { !owned.contains($0) } : 0
    }

    private var detail: String {
        "\(Words.count(members, "worker")), group \(state), \(Words.count(Int(clamping: behind), "record")) behind"
    }

    private var subject: String { "handler \(name)" }

    /// Whether somebody has what waits, so that it is to become less.
    var shouldGetOn: Bool { members > 0 && orphans == 0 && behind > 0 }

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

    /// What is to be said of it when a look of some seconds ago is known. `reasons`: why it stands still, as its workers say.
    func finding(since before: GroupLook, _ reasons: Set<String>) -> Finding {
        guard shouldGetOn, committed == before.committed else { return finding }
        guard reasons.isEmpty else {
            return Finding(
                subject: subject, state: .failed,
                detail: "\(detail), and stands still: \(reasons.sorted().joined(separator: "; "))",
                advice:
                    "it goes on by itself when that is over; what an operator paused, with \(Program.name) resume \(name)"
            )
        }
        return Finding(
            subject: subject, state: .warning, detail: "\(detail), and finished nothing in three seconds",
            advice:
                "see what it is at: \(Program.name) status, and its log; \(Program.name) skip takes a record out of the way"
        )
    }
}
