internal import Platform
internal import Transfers

/// What `topics/rules.yaml` says: who is told of what, and how. `RulesReader` reads it.
package struct Rules: Sendable {
    var channels: [Channel] = []
    var rules: [Rule] = []
    /// What happened longer ago notifies nobody.
    var maxAge: Duration = .seconds(86_400)
    /// A window that nobody has told of so long after its end had nothing in it.
    var silence: Duration = .seconds(120)
    /// Deliveries that have ended leave after so long.
    var keep: Duration = .seconds(30 * 86_400)

    /// Whether some channel needs a secret to sign with, and one a mail server.
    package var hasWebhooks: Bool { channels.contains { if case .webhook = $0.way { true } else { false } } }
    package var hasMails: Bool { channels.contains { if case .mail = $0.way { true } else { false } } }

    /// How many there are.
    package var summary: String { "\(rules.count) rules for \(channels.count) channels" }

    func channel(_ name: String) -> Channel? { channels.first { $0.name == name } }
    func rule(_ name: String) -> Rule? { rules.first { $0.name == name } }
}

/// A way to tell somebody: one endpoint, which fails and is spared by itself.
struct Channel: Sendable {
    enum Way: Sendable {
        case webhook(Webhook)
        /// Each recipient gets a mail, and a delivery, of its own.
        case mail(from: MailAddress, to: [MailAddress])
        case log
    }

    struct Webhook: Sendable {
        var url: WebAddress
        var mayBePrivate = false
        /// The body to be sent instead of ours.
        var body: Template?
    }

    var name: String
    var way: Way
    /// What one try may take.
    var timeout: Duration = .seconds(10)
    /// Tries a second, on the average and over all workers; as many may come at once.
    var rate = 10
    /// A delivery that did not get through by then has failed.
    var giveUpAfter: Duration = .seconds(86_400)

    /// What it is about an endpoint that makes it another one: a hook that said it is gone is asked again at a new place.
    var target: String {
        switch way {
        case .webhook(let webhook): webhook.url.text
        case .mail(let from, let to): ([from] + to).map(\.text).joined(separator: " ")
        case .log: "log"
        }
    }

    var recipients: [String] {
        if case .mail(_, let to) = way { to.map(\.text) } else { [""] }
    }
}

struct Rule: Sendable {
    enum Kind: Sendable {
        case window(Series, Threshold)
        case change(Series, Change)
        case campaign(states: [String], campaign: String?)
        case event(type: String, above: Double?, campaign: String?)
    }

    let name: String
    var kind: Kind
    var channels: [String]
    var subject: Template
    var template: Template
    /// After a notification about a campaign (and a dimension's value) the rule is silent about it for so long.
    var coolDown: Duration
    /// Told too when the alarm is over.
    var tellsResolved = true
    /// What the rule says, for whoever keeps state of it: another text is another rule.
    var digest = ""
}

/// Which windows a rule looks at.
struct Series: Hashable, Sendable {
    var metric: String
    var step: WindowStep
    var measure: Measure
    /// The dimension whose values are looked at each by itself; nil is the whole.
    var dimension: String?
    /// Of this campaign alone.
    var campaign: String?
}

enum WindowStep: String, CaseIterable, Hashable, Sendable {
    case minute = "1m"
    case hour = "1h"
    case day = "1d"

    var milliseconds: Int64 {
        switch self {
        case .minute: 60_000
        case .hour: 3_600_000
        case .day: 86_400_000
        }
    }
}

enum Measure: String, CaseIterable, Hashable, Sendable {
    case count, sum, uniques, p50, p95, p99

    /// What a window without points measures: nothing of a quantile.
    var empty: Double? {
        switch self {
        case .count, .sum, .uniques: 0
        case .p50, .p95, .p99: nil
        }
    }
}

/// Beyond which value there is an alarm, and from which on there is none any more.
struct Threshold: Hashable, Sendable {
    enum Side: Hashable, Sendable { case above, below }

    var side: Side
    var limit: Double
    /// The alarm holds until the value is here or on the good side of it.
    var until: Double
    /// How long it has to be beyond the limit before anybody is told.
    var duration: Duration = .zero

    func isBeyond(_ value: Double) -> Bool { side == .above ? value > limit : value < limit }
    func isGood(_ value: Double) -> Bool { side == .above ? value <= until : value >= until }
}

/// By how much a window may differ from the one before.
struct Change: Hashable, Sendable {
    /// In percent of the window before; nil is no limit.
    var rises: Double?
    var falls: Double?
    /// What the window before has to be at least: 1 after 0 is no news.
    var least: Double

    /// The change in percent when it is too much.
    func excess(from previous: Double, to value: Double) -> Double? {
        guard previous >= least, previous > 0 else { return nil }
        let percent = (value - previous) / previous * 100
        if let rises, percent > rises { return percent }
        if let falls, percent < -falls { return percent }
        return nil
    }
}
