package import Contracts
internal import JSON
internal import Model
internal import Platform
internal import Transfers

/// Reads `rules.yaml`, and notes everything that is wrong with it by line and column.
package struct RulesReader {
    let notes: FieldReader.Notes
    /// What dimensions windows are kept for; nil when nobody knows.
    let dimensions: [String]?
    /// What `$NAME` stands for; nil where settings are not there to be asked, as in a check of the files.
    private let setting: ((String) -> String?)?
    private(set) var rules = Rules()
    /// Those too that something is wrong with: who names them is not at fault.
    private(set) var channelNames: [String] = []

    private static let fileLimit = 256 << 10
    package static let fileName = "rules.yaml"

    /// The rules beside the topic files; none when there is no such file.
    package static func read(
        folder: String, catalog: TopicCatalog? = nil, setting: ((String) -> String?)? = nil
    ) throws(TopicFaults) -> Rules {
        let path = "\(folder)/\(fileName)"
        let text: [UInt8]?
        do throws(SystemError) {
            guard try Files.names(in: folder).contains(fileName) else { return Rules() }
            text = try Files.read(path, limit: fileLimit)
        } catch { throw TopicFaults(faults: [TopicFault(file: path, reason: "\(error)")]) }
        guard let text else {
            throw TopicFaults(faults: [TopicFault(file: path, reason: "is larger than \(ByteCount.text(fileLimit))")])
        }
        return try read(text, file: path, dimensions: catalog.flatMap(Self.dimensions), setting: setting)
    }

    package static func read(
        _ text: [UInt8], file: String, dimensions: [String]? = nil, setting: ((String) -> String?)? = nil
    ) throws(TopicFaults) -> Rules {
        var reader = RulesReader(notes: FieldReader.Notes(file: file), dimensions: dimensions, setting: setting)
        do throws(YamlParser.Fault) {
            reader.read(try YamlParser.parse(text))
        } catch { reader.notes.refuse(error.place, error.reason) }
        guard reader.notes.faults.isEmpty else {
            throw TopicFaults(
                faults: reader.notes.faults.sorted {
                    ($0.place ?? FilePlace(line: 0, column: 0)) < ($1.place ?? FilePlace(line: 0, column: 0))
                })
        }
        return reader.rules
    }

    /// Those that the file of metrics.points tells `aggregate` of.
    private static func dimensions(_ catalog: TopicCatalog) -> [String]? {
        let settings = catalog["metrics.points"]?.consumers.first { $0.handler == "aggregate" }?.settings
        return settings?["dimensions"]?.split(separator: ",").map { String($0.drop { $0 == " " }) }
    }

    private mutating func read(_ node: YamlNode) {
        let fields = FieldReader(
            node, path: "", known: ["maxAge", "silence", "keep", "allowPrivate", "channels", "rules"], notes: notes)
        if let age = fields.duration("maxAge", .seconds(60)...(.seconds(30 * 86_400))) { rules.maxAge = age }
        if let silence = fields.duration("silence", .seconds(1)...(.seconds(86_400))) { rules.silence = silence }
        if let keep = fields.duration("keep", .seconds(3600)...(.seconds(366 * 86_400))) { rules.keep = keep }
        let mayBePrivate = fields.flag("allowPrivate") ?? false
        for (position, element) in entries(fields, "channels", atMost: 200) {
            let path = "channels[\(position)]."
            let fields = FieldReader(element, path: path, known: Self.channelKeys, notes: notes)
            let name = name(fields, element)
            if let name {
                if channelNames.contains(name) { notes.refuse(element.place, "the channel \(name) is there twice") }
                channelNames.append(name)
            }
            if var channel = channel(fields, element, mayBePrivate) {
                channel.name = name ?? ""
                rules.channels.append(channel)
            }
        }
        for (position, element) in entries(fields, "rules", atMost: 1000) {
            if let rule = rule(element, "rules[\(position)].") {
                if rules.rule(rule.name) != nil { notes.refuse(element.place, "the rule \(rule.name) is there twice") }
                rules.rules.append(rule)
            }
        }
    }

    private func entries(_ fields: FieldReader, _ name: String, atMost most: Int) -> [(Int, YamlNode)] {
        let found = fields.list(name) ?? []
        if found.count > most, let node = fields.node(name) {
            fields.refuse(node, name, "has more than \(most) entries")
        }
        return Array(found.prefix(most).enumerated().map { ($0.offset, $0.element) })
    }

    /// A name as it is shown and kept: nil was refused.
    func name(_ fields: FieldReader, _ node: YamlNode) -> String? {
        let name = fields.value("name", "a name of lower-case letters, digits and dashes, at most 64") { text, _ in
            (1...64).contains(text.utf8.count)
                && text.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                        UInt8(ascii: "-"):
                        true
                    case _: false
                    }
                } ? text : nil
        }
        if name == nil, notes.places[fields.path + "name"] == nil {
            notes.refuse(node.place, "\(fields.path)name is missing")
        }
        return name
    }

    // MARK: Channels

    private static let ways = ["webhook", "mail", "log"]

    private static let channelKeys =
        ["name", "timeout", "rate", "giveUpAfter", "allowPrivate", "body", "from"] + ways

    /// A channel, its name aside.
    private func channel(_ fields: FieldReader, _ node: YamlNode, _ mayBePrivate: Bool) -> Channel? {
        let ways = Self.ways.filter { notes.places[fields.path + $0] != nil }
        guard ways.count == 1 else {
            notes.refuse(node.place, "\(fields.path.dropLast()) needs one of webhook: URL, mail: [ADDRESS], log: true")
            return nil
        }
        for (key, way) in [("allowPrivate", "webhook"), ("body", "webhook"), ("from", "mail")] where ways[0] != way {
            if let extra = fields.node(key) { fields.refuse(extra, key, "is for a \(way) alone") }
        }
        let way: Channel.Way? =
            switch ways[0] {
            case "webhook": webhook(fields, mayBePrivate).map { .webhook($0) }
            case "mail": mail(fields, node)
            case _: log(fields)
            }
        let timeout = fields.duration("timeout", .milliseconds(100)...(.seconds(15)))
        let rate = fields.integer("rate", 1...1000)
        let giveUpAfter = fields.duration("giveUpAfter", .seconds(1)...(.seconds(7 * 86_400)))
        guard let way else { return nil }
        var channel = Channel(name: "", way: way)
        channel.timeout = timeout ?? channel.timeout
        channel.rate = rate ?? channel.rate
        channel.giveUpAfter = giveUpAfter ?? channel.giveUpAfter
        return channel
    }

    private func webhook(_ fields: FieldReader, _ mayBePrivate: Bool) -> Channel.Webhook? {
        guard let node = fields.node("webhook") else { return nil }
        guard case .scalar(var text, _) = node.content else {
            fields.refuse(node, "webhook", "must be a URL, is \(node.kind)")
            return nil
        }
        if text.hasPrefix("$") {
            let name = String(text.dropFirst())
            // Whoever checks the files alone has no settings, and needs none.
            guard let value = setting == nil ? "https://not-read.invalid" : setting?(name) else {
                fields.refuse(node, "webhook", "is \(text), and \(name) is not set")
                return nil
            }
            text = value
        }
        return address(text, fields, node, mayBePrivate)
    }

    private func address(
        _ text: String, _ fields: FieldReader, _ node: YamlNode, _ mayBePrivate: Bool
    ) -> Channel.Webhook? {
        do throws(AddressFault) {
            var webhook = Channel.Webhook(url: try WebAddress(text))
            webhook.mayBePrivate = fields.flag("allowPrivate") ?? mayBePrivate
            webhook.body = body(fields)
            return webhook
        } catch {
            fields.refuse(node, "webhook", "\(error)")
            return nil
        }
    }

    /// The body of one's own has to be JSON whatever is put into its places.
    private func body(_ fields: FieldReader) -> Template? {
        guard let node = fields.node("body"), let template = template(fields, "body", Notification.names) else {
            return nil
        }
        let trial = Dictionary(
            Notification.names.map { ($0, "a \"b\" \\ \n ü") }, uniquingKeysWith: { first, _ in first })
        for values in [trial, [:]] {
            do throws(JSONFault) { _ = try JSONDocument(parsing: template.renderJSON(values)) } catch {
                fields.refuse(
                    node, "body", "is no JSON: \(error); a place belongs between the quotes of a text: \"{{ text }}\"")
                return nil
            }
        }
        return template
    }

    private func mail(_ fields: FieldReader, _ node: YamlNode) -> Channel.Way? {
        let to = fields.list("mail", "mail addresses, as ada@example.com") { MailAddress($0) }
        let from = fields.value("from", "a mail address, as flotilla@example.com") { text, _ in MailAddress(text) }
        if from == nil, notes.places[fields.path + "from"] == nil {
            notes.refuse(node.place, "\(fields.path)from is missing: who the mail is from")
        }
        guard let to, let from else { return nil }
        guard (1...50).contains(to.count), Set(to).count == to.count else {
            if let list = fields.node("mail") { fields.refuse(list, "mail", "must be 1 to 50 addresses, each once") }
            return nil
        }
        return .mail(from: from, to: to)
    }

    private func log(_ fields: FieldReader) -> Channel.Way? {
        if fields.flag("log") == true { return .log }
        if let node = fields.node("log") { fields.refuse(node, "log", "is true, or the channel is not there") }
        return nil
    }
}
