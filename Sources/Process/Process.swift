internal import Contracts
public import Flotilla
internal import JSON
public import Model
public import Platform
public import Postgres
internal import Synchronization

/// Owns campaigns, and turns accepted events into metric points.
///
/// Commands (`campaign.create` …) change campaigns, and so does time; each change is an event in `campaigns.changed`.
/// Every other event becomes points in `metrics.points`, keyed by campaign.
public struct Process: StatefulHandler {
    public let name: HandlerName = "process"
    public let migrations = CampaignStore.migrations
    public let ticks = true
    private let refusesUnknown: Bool
    private let unreadable = Unreadable()

    static let changes: TopicName = "campaigns.changed"
    static let points: TopicName = "metrics.points"

    /// `settings`: those of its consumer in the topic file. `unknownCampaign: deadletter` refuses points of campaigns that
    /// nobody created; by default they count.
    public init(settings: [String: String] = [:]) throws(SettingFault) {
        var rest = settings
        switch rest.removeValue(forKey: "unknownCampaign") {
        case nil, "accept": refusesUnknown = false
        case "deadletter": refusesUnknown = true
        case .some(let other):
            throw SettingFault(name: "unknownCampaign", value: other, expected: "accept or deadletter")
        }
        if let name = rest.keys.min() { throw SettingFault(name: name, problem: "is no setting of process") }
    }

    public func apply(
        _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let store = CampaignStore(transaction: transaction)
        var outputs: [Outgoing] = []
        // What commands of this batch have made of campaigns.
        var changed: [ByteText: Campaign] = [:]
        var known = try await self.known(events, store)
        for event in events {
            let accepted = try AcceptedEvent(try event.json())
            guard let command = try CampaignCommand(accepted) else {
                if refusesUnknown, let id = accepted.campaign, !known.contains(ByteText(id)) {
                    throw Refusal.permanent("there is no campaign \(id)")
                }
                outputs += Points.of(accepted, event)
                continue
            }
            var before = changed[command.campaign]
            if before == nil { before = try await store.find(command.campaign.text) }
            let after: Campaign
            do throws(Campaign.Fault) {
                after = try command.apply(to: before)
            } catch { throw Refusal.permanent("campaign \(command.campaign) \(error)") }
            try await store.save(after, event.partition)
            changed[command.campaign] = after
            known.insert(command.campaign)
            outputs.append(
                Outgoing(
                    to: Self.changes, from: event, type: "campaign.changed", key: after.id,
                    json: after.json(before: before?.state, cause: event.id)))
        }
        return outputs
    }

    public func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let store = CampaignStore(transaction: transaction)
        var outputs: [Outgoing] = []
        let due = try await store.due(now, partition.partition)
        let log = context.log
        for one in unreadable.toTell(due.unreadable, partition, now) {
            log.error(
                "a campaign cannot be read: its dates do nothing until its row is mended",
                [("campaign", one.id), ("error", one.reason)])
        }
        for var campaign in due.campaigns {
            let before = campaign.state
            guard campaign.pass(now) else { continue }
            try await store.save(campaign, partition.partition)
            outputs.append(
                Outgoing(
                    to: Self.changes, named: "campaign \(campaign.id)", revision: Int(clamping: campaign.version),
                    type: "campaign.changed", key: campaign.id, json: campaign.json(before: before, cause: nil)))
        }
        return outputs
    }

    /// The campaigns of these events that exist; not asked where nobody wants to know.
    private func known(_ events: [Event], _ store: CampaignStore) async throws -> Set<ByteText> {
        guard refusesUnknown else { return [] }
        let ids = Set(try events.compactMap { try $0.json()["campaign_id"]?.string }.map { ByteText($0) })
        return ids.isEmpty ? [] : try await store.known(ids)
    }
}

/// Which campaigns could not be read: a new one is told of at once, all of them again once a minute.
private final class Unreadable: Sendable {
    private let known = Mutex<[TopicPartition: (ids: Set<ByteText>, toldAt: Timestamp)]>([:])

    func toTell(
        _ found: [(id: String, reason: String)], _ partition: TopicPartition, _ now: Timestamp
    ) -> [(id: String, reason: String)] {
        let ids = Set(found.map { ByteText($0.id) })
        return known.withLock { known in
            guard !ids.isEmpty else {
                known[partition] = nil
                return []
            }
            guard let before = known[partition], now.milliseconds - before.toldAt.milliseconds < 60_000 else {
                known[partition] = (ids, now)
                return found
            }
            known[partition] = (ids, before.toldAt)
            return found.filter { !before.ids.contains(ByteText($0.id)) }
        }
    }
}

extension Campaign {
    /// The event that tells of a change.
    func json(before: State?, cause: String?) -> [UInt8] {
        func amount(_ micros: Int64, _ json: inout JSONWriter) { json.append(micros, fractionDigits: 6) }
        var writer = JSONWriter()
        writer.object { json in
            json.member("campaign_id", id)
            json.member("state", state.rawValue)
            if let before { json.member("previous", before.rawValue) }
            json.member("version", version)
            json.member("changed_at", changed.milliseconds)
            if let name { json.member("name", name) }
            if let budget {
                json.name("budget")
                amount(budget, &json)
            }
            if let start { json.member("start", start.milliseconds) }
            if let end { json.member("end", end.milliseconds) }
            json.object("goals") { json in
                for (metric, micros) in goals.sorted(by: { $0.key < $1.key }) {
                    json.name(metric.text)
                    amount(micros, &json)
                }
            }
            if let cause { json.member("cause", cause) }
        }
        return writer.bytes
    }
}
