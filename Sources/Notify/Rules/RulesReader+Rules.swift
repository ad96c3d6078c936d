internal import Contracts
internal import Platform

// The rules of the file; `RulesReader.swift` reads what is around them.
extension RulesReader {
    private static let kinds = ["window", "change", "campaign", "event"]

    func rule(_ node: YamlNode, _ path: String) -> Rule? {
        let fields = FieldReader(
            node, path: path, known: ["name", "channels", "subject", "template", "coolDown", "resolved"] + Self.kinds,
            notes: notes)
        let name = name(fields, node)
        let kinds = Self.kinds.filter { notes.places[path + $0] != nil }
        guard kinds.count == 1 else {
            notes.refuse(node.place, "\(path.dropLast()) needs one of \(Self.kinds.joined(separator: ", "))")
            return nil
        }
        let inner = fields.node(kinds[0])
        let kind: Rule.Kind? = inner.flatMap { self.kind(kinds[0], $0, path + kinds[0] + ".") }
        let channels = self.channels(fields, node)
        let names = Fact.names(of: kinds[0])
        let template = self.template(fields, "template", names)
        if template == nil, notes.places[path + "template"] == nil {
            notes.refuse(node.place, "\(path)template is missing: what is said")
        }
        let subject = self.template(fields, "subject", names) ?? Fact.subject(of: kinds[0])
        let coolDown = fields.duration("coolDown", .zero...(.seconds(30 * 86_400)))
        let tellsResolved = fields.flag("resolved")
        if tellsResolved != nil, kinds[0] != "window", let node = fields.node("resolved") {
            fields.refuse(node, "resolved", "is for a window alone: nothing else has an end")
        }
        guard let name, let kind, let template, let subject else { return nil }
        let byDefault: Duration = kinds[0] == "campaign" ? .zero : .seconds(300)
        var rule = Rule(
            name: name, kind: kind, channels: channels, subject: subject, template: template,
            coolDown: coolDown ?? byDefault)
        rule.tellsResolved = tellsResolved ?? true
        let said = Array("\(kind)".utf8)
        rule.digest = unsafe Digest.sha256(said.span.bytes).hex(first: 8)
        return rule
    }

    private func channels(_ fields: FieldReader, _ node: YamlNode) -> [String] {
        guard let list = fields.list("channels") else {
            if notes.places[fields.path + "channels"] == nil {
                notes.refuse(node.place, "\(fields.path)channels is missing: who is told")
            }
            return []
        }
        if list.isEmpty { notes.refuse(node.place, "\(fields.path)channels is empty: name who is told") }
        return list.compactMap { element in
            guard case .scalar(let name, _) = element.content else {
                fields.refuse(element, "channels", "must be a list of names, and has \(element.kind)")
                return nil
            }
            guard channelNames.contains(name) else {
                let hint = channelNames.isEmpty ? "there is none" : Nearest.hint(name, channelNames)
                fields.refuse(element, "channels", "has \(name), which is no channel; \(hint)")
                return nil
            }
            return name
        }
    }

    func template(_ fields: FieldReader, _ name: String, _ names: [String]) -> Template? {
        guard let node = fields.node(name) else { return nil }
        guard case .scalar(let text, _) = node.content, text.utf8.count <= Template.textLimit else {
            fields.refuse(node, name, "must be a text of at most \(ByteCount.text(Template.textLimit))")
            return nil
        }
        do throws(Template.Fault) { return try Template(text, names: names) } catch {
            fields.refuse(node, name, error.reason)
            return nil
        }
    }

    private func kind(_ name: String, _ node: YamlNode, _ path: String) -> Rule.Kind? {
        switch name {
        case "window": window(node, path)
        case "change": change(node, path)
        case "campaign": campaign(node, path)
        case _: event(node, path)
        }
    }

    private static let seriesKeys = ["metric", "step", "measure", "by", "campaign"]

    private func series(_ fields: FieldReader, _ node: YamlNode) -> Series? {
        for key in ["metric", "step"] where notes.places[fields.path + key] == nil {
            notes.refuse(node.place, "\(fields.path)\(key) is missing")
        }
        let dimension = fields.text("by")
        if let dimension, let dimensions, !dimensions.contains(dimension), let place = fields.node("by") {
            fields.refuse(
                place, "by",
                "is \(dimension), for which aggregate keeps no windows; \(Nearest.hint(dimension, dimensions))")
        }
        let (metric, step) = (fields.text("metric"), fields.choice("step", WindowStep.self))
        let measure = fields.choice("measure", Measure.self)
        let campaign = fields.text("campaign")
        guard let metric, let step else { return nil }
        return Series(metric: metric, step: step, measure: measure ?? .count, dimension: dimension, campaign: campaign)
    }

    private func number(_ fields: FieldReader, _ name: String) -> Double? {
        fields.value(name, "a number, as 1000 or 12.5") { text, isPlain in
            guard isPlain, let number = Double(text), number.isFinite, abs(number) < 1e15 else { return nil }
            return number
        }
    }

    private func window(_ node: YamlNode, _ path: String) -> Rule.Kind? {
        let fields = FieldReader(
            node, path: path, known: Self.seriesKeys + ["above", "below", "until", "for"], notes: notes)
        let series = series(fields, node)
        let (above, below, until) = (number(fields, "above"), number(fields, "below"), number(fields, "until"))
        let duration = fields.duration("for", .zero...(.seconds(30 * 86_400))) ?? .zero
        let written = ["above", "below"].filter { notes.places[path + $0] != nil }
        guard written.count == 1 else {
            notes.refuse(node.place, "\(path.dropLast()) needs one of above and below")
            return nil
        }
        guard let limit = above ?? below else { return nil }
        let threshold = Threshold(
            side: above == nil ? .below : .above, limit: limit, until: until ?? limit, duration: duration)
        if threshold.isBeyond(threshold.until), let place = fields.node("until") {
            fields.refuse(place, "until", "is on the wrong side of \(written[0]): the alarm would never end")
        }
        guard let series else { return nil }
        return .window(series, threshold)
    }

    private func change(_ node: YamlNode, _ path: String) -> Rule.Kind? {
        let fields = FieldReader(node, path: path, known: Self.seriesKeys + ["rises", "falls", "least"], notes: notes)
        let series = series(fields, node)
        func percent(_ name: String) -> Double? {
            fields.value(name, "a percentage, as 50%") { text, _ in
                guard text.hasSuffix("%"), let number = Double(text.dropLast()), number.isFinite, number > 0,
                    number <= 1_000_000
                else { return nil }
                return number
            }
        }
        let (rises, falls) = (percent("rises"), percent("falls"))
        if let falls, falls > 100, let place = fields.node("falls") {
            fields.refuse(place, "falls", "is more than 100%, and nothing can fall by that")
        }
        if notes.places[path + "rises"] == nil, notes.places[path + "falls"] == nil {
            notes.refuse(node.place, "\(path.dropLast()) needs rises, falls or both")
        }
        let least = number(fields, "least") ?? 1
        guard let series, rises != nil || falls != nil else { return nil }
        return .change(series, Change(rises: rises, falls: falls, least: least))
    }

    private static let states = ["draft", "scheduled", "active", "paused", "completed"]

    private func campaign(_ node: YamlNode, _ path: String) -> Rule.Kind? {
        let fields = FieldReader(node, path: path, known: ["states", "campaign"], notes: notes)
        let states = fields.list("states", Self.states.joined(separator: ", ")) { Self.states.contains($0) ? $0 : nil }
        let campaign = fields.text("campaign")
        guard let states, !states.isEmpty else {
            if notes.places[path + "states"] == nil || states != nil {
                notes.refuse(
                    node.place, "\(path)states is missing: [\(Self.states.joined(separator: ", "))], some of them")
            }
            return nil
        }
        return .campaign(states: states, campaign: campaign)
    }

    private func event(_ node: YamlNode, _ path: String) -> Rule.Kind? {
        let fields = FieldReader(node, path: path, known: ["type", "above", "campaign"], notes: notes)
        let type = fields.value("type", "an event's type in lower case, as order.created") { text, _ in
            (1...64).contains(text.utf8.count) && text == text.lowercased() && !text.contains(where: \.isWhitespace)
                ? text : nil
        }
        if type == nil, notes.places[path + "type"] == nil { notes.refuse(node.place, "\(path)type is missing") }
        let (above, campaign) = (number(fields, "above"), fields.text("campaign"))
        guard let type else { return nil }
        return .event(type: type, above: above, campaign: campaign)
    }
}
