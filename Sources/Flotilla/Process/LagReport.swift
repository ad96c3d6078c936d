internal import AdminPort
internal import Kafka
internal import Model

/// How far a process' handlers are behind, as /healthz tells it: in all, and where it is worst.
struct LagReport: Sendable {
    let records: Int64
    let actionable: Int64
    let worst: Worst?
    /// How long the look took.
    let took: Int64
    /// Whether there is nothing to be behind with: other workers have all partitions, or it has not begun.
    let isIdle: Bool
    /// How old the oldest of these figures is; nil where none is known.
    let age: Int64?

    /// The partition whose first record has waited the longest.
    struct Worst: Sendable {
        let handler: HandlerName
        let topic: TopicName
        let partition: Partition
        let lag: PartitionLag
    }

    /// Looks, at all handlers at once.
    init(_ workers: [HandlerWorker]) async {
        let found = await withTaskGroup(of: (HandlerWorker, [TopicPartition: PartitionLag], Int64).self) { group in
            for worker in workers {
                group.addTask {
                    let (lags, took) = await worker.lookAtLag()
                    return (worker, lags, took)
                }
            }
            var found: [(HandlerWorker, [TopicPartition: PartitionLag], Int64)] = []
            for await one in group { found.append(one) }
            return found
        }
        isIdle = workers.allSatisfy { $0.assignment.isEmpty && !$0.lagWatch.hasLost }
        let all = found.flatMap { $0.1.values }
        records = all.reduce(0) { $0 &+ $1.records }
        actionable = all.reduce(0) { $0 &+ $1.actionable }
        took = found.map(\.2).max() ?? 0
        age = found.compactMap { $0.0.lagAge }.max()
        worst = found.flatMap { worker, lags, _ in
            lags.filter { $0.value.records > 0 }.map { place, lag in
                Worst(
                    handler: worker.job.name, topic: worker.job.topics[place.topic]?.topic ?? place.topic,
                    partition: place.partition, lag: lag)
            }
        }.max { ($0.lag.milliseconds, $0.lag.records) < ($1.lag.milliseconds, $1.lag.records) }
    }

    var answer: Health.Probe.Answer {
        guard age != nil || isIdle else {
            return Health.Probe.Answer("nobody has said yet how far behind it is", milliseconds: took)
        }
        return Health.Probe.Answer(milliseconds: took) { json in
            json.member("records", records)
            json.member("actionable_records", actionable)
            json.member("seconds", Double(worst?.lag.milliseconds ?? 0) / 1000)
            if let age { json.member("looked_seconds", Double(age) / 1000) }
            guard let worst else { return }
            json.object("worst") { json in
                json.member("handler", worst.handler.rawValue)
                json.member("topic", worst.topic.rawValue)
                json.member("partition", worst.partition.rawValue)
                json.member("records", worst.lag.records)
                json.member("seconds", Double(worst.lag.milliseconds) / 1000)
            }
        }
    }
}

extension Health.Probe {
    /// `workers`: those that there are by now.
    static func lag(_ workers: @escaping @Sendable () -> [HandlerWorker]) -> Health.Probe {
        Health.Probe(telling: "lag") { await LagReport(workers()).answer }
    }
}
