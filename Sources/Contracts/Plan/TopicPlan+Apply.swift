public import Kafka

/// A plan that was not carried out, or not wholly. Doing it again does what is left.
public struct PlanFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let reasons: [String]

    public var description: String { reasons.joined(separator: "\n") }
}

extension TopicPlan {
    /// Carries the plan out; `done` is told of each change once it is.
    ///
    /// Harmless to repeat: what somebody else did meanwhile counts as done. Nothing is touched while there is a refusal;
    /// other faults do not stop the rest. What deletes records is left out, and not told, unless `losing` says so.
    public func apply(
        with admin: Admin, losing: Bool = false, done: (Change) -> Void = { _ in }
    ) async throws(PlanFault) {
        guard refusals.isEmpty else { throw PlanFault(reasons: refusals.map(\.description)) }
        var reasons: [String] = []
        await create(with: admin, &reasons, done)
        await grow(with: admin, &reasons, done)
        for change in changes where losing || !change.losesRecords {
            guard case .settings(let topic, let settings) = change else { continue }
            do throws(KafkaFault) {
                try await admin.change(Dictionary(settings.map { ($0.name, $0.to) }) { $1 }, of: topic)
                done(change)
            } catch { reasons.append("\(error)") }
        }
        guard reasons.isEmpty else { throw PlanFault(reasons: reasons) }
    }

    private func create(with admin: Admin, _ reasons: inout [String], _ done: (Change) -> Void) async {
        let wanted = changes.compactMap { change -> WantedTopic? in
            if case .create(let topic) = change { topic } else { nil }
        }
        guard !wanted.isEmpty else { return }
        let new = wanted.map {
            NewTopic($0.name, partitions: $0.partitions, replication: $0.replication, settings: $0.settings)
        }
        do throws(KafkaFault) {
            let faults = try await admin.create(new)
            for topic in wanted {
                if let fault = faults[topic.name], fault.kind != .exists {
                    reasons.append("\(fault)")
                } else {
                    done(.create(topic))
                }
            }
        } catch { reasons.append("\(error)") }
    }

    private func grow(with admin: Admin, _ reasons: inout [String], _ done: (Change) -> Void) async {
        let growing = changes.compactMap { change -> (Change, TopicName, Int)? in
            if case .grow(let name, _, let count) = change { (change, name, count) } else { nil }
        }
        guard !growing.isEmpty else { return }
        do throws(KafkaFault) {
            let faults = try await admin.grow(Dictionary(growing.map { ($0.1, $0.2) }) { $1 })
            for (change, name, _) in growing {
                if let fault = faults[name] { reasons.append("\(fault)") } else { done(change) }
            }
        } catch { reasons.append("\(error)") }
    }
}
