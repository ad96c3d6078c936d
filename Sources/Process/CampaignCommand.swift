internal import Flotilla
internal import JSON
internal import Model
internal import Platform

/// A command to a campaign, as an event brings it: `campaign.create` and so on, with the plan in `data`.
struct CampaignCommand: Hashable, Sendable {
    enum Verb: String, CaseIterable, Sendable {
        case create, schedule, activate, pause, complete
    }

    let verb: Verb
    let campaign: ByteText
    let plan: Campaign.Plan
    let time: Timestamp

    static let prefix = "campaign."

    /// The command in an accepted event, nil when it is none. Throws what is wrong with it.
    init?(_ event: AcceptedEvent) throws(Refusal) {
        guard event.type.hasPrefix(Self.prefix) else { return nil }
        let name = event.type.dropFirst(Self.prefix.count)
        guard let verb = Verb(rawValue: String(name)) else {
            let known = Verb.allCases.map { Self.prefix + $0.rawValue }.joined(separator: ", ")
            throw .permanent("\(event.type) is no command to a campaign: there are \(known)")
        }
        guard let campaign = event.campaign else { throw .permanent("\(event.type) names no campaign_id") }
        self.verb = verb
        self.campaign = ByteText(campaign)
        time = event.time
        plan = try event.data.map { data throws(Refusal) in try Campaign.Plan(data) } ?? Campaign.Plan()
    }

    /// What the campaign is afterwards.
    func apply(to campaign: Campaign?) throws(Campaign.Fault) -> Campaign {
        guard var campaign else {
            guard verb == .create else { throw Campaign.Fault("is not known: create it first") }
            return try Campaign.create(self.campaign.text, plan, at: time)
        }
        switch verb {
        case .create: throw Campaign.Fault("is there already")
        case .schedule: try campaign.schedule(plan, at: time)
        case .activate: try campaign.activate(plan, at: time)
        case .pause: try campaign.pause(at: time)
        case .complete: try campaign.complete(at: time)
        }
        return campaign
    }
}

extension Campaign.Plan {
    static let fractionDigits = 6
    private static let mostGoals = 32

    init(_ data: JSONValue) throws(Refusal) {
        self.init()
        if let value = data["name"] {
            guard let text = value.string, text.utf8.count <= 255, !text.utf8.contains(0) else {
                throw .permanent("/data/name must be a text of at most 255 bytes, none of them zero")
            }
            name = text
        }
        budget = try Self.amount(data["budget"], "/data/budget")
        start = try Self.time(data["start"], "/data/start")
        end = try Self.time(data["end"], "/data/end")
        guard let value = data["goals"] else { return }
        guard value.kind == .object, value.count <= Self.mostGoals else {
            throw .permanent("/data/goals must be an object of at most \(Self.mostGoals) metrics")
        }
        var goals: [ByteText: Int64] = [:]
        for member in value.members {
            guard (1...255).contains(member.name.utf8.count), !member.name.utf8.contains(0) else {
                throw .permanent("/data/goals must name metrics with 1 to 255 bytes, none of them zero")
            }
            goals[ByteText(member.name)] = try Self.amount(member.value, "/data/goals/\(member.name)")
        }
        self.goals = goals
    }

    private static func amount(_ value: JSONValue?, _ pointer: String) throws(Refusal) -> Int64? {
        guard let value else { return nil }
        guard let units = value.decimal(fractionDigits: fractionDigits), (0..<1_000_000_000_000_000_000).contains(units)
        else { throw .permanent("\(pointer) must be a number from 0 to below 10^12, of at most 6 fraction digits") }
        return units
    }

    private static func time(_ value: JSONValue?, _ pointer: String) throws(Refusal) -> Timestamp? {
        guard let value else { return nil }
        if let milliseconds = value.int64, (0...AcceptedEvent.latest).contains(milliseconds) {
            return Timestamp(milliseconds: milliseconds)
        }
        // The last minutes of 9999 may be in the year after elsewhere, and that no reader of times takes.
        guard let time = value.string.flatMap({ Timestamp(text: $0) }),
            (0...AcceptedEvent.latest).contains(time.milliseconds)
        else {
            throw .permanent("\(pointer) must be milliseconds since 1970 or RFC 3339, until the end of 9999 in UTC")
        }
        return time
    }
}
