internal import Flotilla
internal import JSON
internal import Platform

/// What a rule has to say about something: to be rendered once, and sent the same however often it has to be.
struct Notification: Sendable {
    let rule: Rule
    let fact: Fact
    /// What happened: `firing`, `resolved`, `changed`, `campaign`, `event`.
    let kind: String
    /// What it is known by among the rule's: the same when the same is found again.
    let name: String
    /// Beyond what the fact has.
    let computed: [String: String]

    /// What a body of one's own can show.
    static let names = ["id", "rule", "kind", "campaign_id", "time", "subject", "text"]

    init(_ rule: Rule, _ fact: Fact, _ found: Alarm.Found) {
        self.rule = rule
        self.fact = fact
        var computed = ["rule": rule.name]
        var series = "\(fact.campaign ?? "")\u{0}\(fact.seriesValue)"
        let measured: Series?
        switch rule.kind {
        case .window(let wanted, let threshold):
            measured = wanted
            computed["limit"] = Self.text(threshold.limit)
        case .change(let wanted, _): measured = wanted
        case .campaign, .event: measured = nil
        }
        if let measured {
            computed["measure"] = measured.measure.rawValue
            computed["value"] = fact.valueText(measured.measure)
            computed["window_end"] = Timestamp(milliseconds: fact.time).description
        }
        switch found.signal {
        case .firing(let since, let suppressed):
            kind = "firing"
            computed["since"] = Timestamp(milliseconds: since).description
            computed["suppressed"] = "\(suppressed)"
            series += "\u{0}\(since)\u{0}\(found.number)"
        case .resolved(let since):
            kind = "resolved"
            computed["since"] = Timestamp(milliseconds: since).description
            computed["suppressed"] = "0"
            series += "\u{0}\(since)\u{0}\(found.number)"
        case .changed(let percent, let previous, let suppressed):
            kind = "changed"
            computed["change"] = (percent > 0 ? "+" : "") + Self.text((percent * 10).rounded() / 10) + "%"
            computed["previous"] = Self.text(previous)
            computed["suppressed"] = "\(suppressed)"
            series += "\u{0}\(found.start)"
        }
        computed["alarm"] = kind
        name = series
        self.computed = computed
    }

    /// About an event that has no series.
    init(_ rule: Rule, _ fact: Fact, suppressed: Int, event: Event) {
        self.rule = rule
        self.fact = fact
        switch fact.content {
        case .campaign(_, let version):
            kind = "campaign"
            name = "\(fact.campaign ?? "")\u{0}\(version)"
        case .event, .window:
            kind = "event"
            name = "\(event.source)\u{0}\(event.id)"
        }
        computed = ["rule": rule.name, "suppressed": "\(suppressed)"]
    }

    /// A number with no more digits than it has.
    private static func text(_ number: Double) -> String {
        if let whole = Int64(exactly: number) { return "\(whole)" }
        return "\(number)"
    }

    /// A delivery for each channel of the rule and each of its recipients.
    /// `event`: what they follow from, nil where it is that nothing came; `trace`: the `traceparent` of its handling.
    func deliveries(_ rules: Rules, because event: Event?, in trace: String? = nil) -> [NewDelivery] {
        let subject = Self.line(rule.subject.render(computed, fact.root, limit: Template.subjectLimit))
        let text = rule.template.render(computed, fact.root)
        return Set(rule.channels).sorted().compactMap(rules.channel).flatMap { channel in
            channel.recipients.map { recipient in
                let name = [rule.name, kind, self.name, channel.name, recipient].joined(separator: "\u{0}")
                let id = UUIDValue.version5(in: .flotillaEvents, Array("delivery\u{0}\(name)".utf8))
                return NewDelivery(
                    id: id, rule: rule.name, channel: channel.name, kind: kind, campaign: fact.campaign,
                    recipient: recipient, subject: subject, body: body(channel, id, subject, text),
                    giveUpAfter: channel.giveUpAfter, eventSource: event?.source, eventID: event?.id,
                    trace: trace)
            }
        }
    }

    private func body(_ channel: Channel, _ id: UUIDValue, _ subject: String, _ text: String) -> String {
        guard case .webhook(let webhook) = channel.way else { return text }
        let time = Timestamp(milliseconds: fact.time).description
        if let own = webhook.body {
            return own.renderJSON([
                "id": id.description, "rule": rule.name, "kind": kind, "campaign_id": fact.campaign ?? "", "time": time,
                "subject": subject, "text": text,
            ])
        }
        var writer = JSONWriter()
        writer.object { json in
            json.member("type", "notification.\(kind)")
            json.member("timestamp", time)
            json.object("data") { json in
                json.member("id", id.description)
                json.member("rule", rule.name)
                if let campaign = fact.campaign { json.member("campaign_id", campaign) }
                json.member("subject", subject)
                json.member("text", text)
                for (name, value) in computed.sorted(by: { $0.key < $1.key }) where name != "rule" && name != "alarm" {
                    json.member(name, value)
                }
                switch fact.content {
                case .window:
                    json.name("window")
                    json.append(fact.root)
                case .campaign:
                    json.name("campaign")
                    json.append(fact.root)
                case .event:
                    // Of an event what is nobody's in person.
                    json.object("event") { json in
                        for name in ["event_id", "event_type", "timestamp", "value"] {
                            guard let value = fact.root[name] else { continue }
                            json.name(name)
                            json.append(value)
                        }
                    }
                }
            }
        }
        return writer.text
    }

    /// One line, whatever was put in: a subject is a header.
    static func line(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
    }
}

/// A delivery on its way into the table.
struct NewDelivery: Sendable {
    let id: UUIDValue
    let rule, channel, kind: String
    let campaign: String?
    let recipient, subject, body: String
    let giveUpAfter: Duration
    var eventSource, eventID: String?
    var trace: String?

    /// About how many it takes.
    var bytes: Int { 500 + subject.utf8.count + body.utf8.count }
}
