internal import Contracts
internal import DeadLetters
internal import Fleet
internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import WebAPI

// Topics, and what is in them.
extension Console {
    func topics(_ call: Call) async throws -> HTTPResponse {
        _ = try call.questions([])
        let found = try await place.admin.topics(nil).values
            .compactMap { topic in place.namespace.plain(topic.name).map { ($0, topic) } }
            .filter { !$0.0.rawValue.hasPrefix("__") }.sorted { $0.0 < $1.0 }
        let catalog = place.catalog
        let roles = Dictionary(catalog.wanted.map { ($0.name, $0.role) }) { first, _ in first }
        return .json { json in
            json.array("topics") { list in
                for (name, topic) in found.prefix(2000) {
                    list.object { json in
                        json.member("topic", name.rawValue)
                        json.member("partitions", topic.partitions.count)
                        let role = roles[topic.name]
                        json.member("about", catalog[name]?.about ?? role?.about ?? "")
                        // Those that come of another one, as retries and dead letters do.
                        json.member("derived", role?.family != nil)
                        json.array("consumers") { list in
                            for policy in catalog[name]?.consumers ?? [] { list.append(policy.handler.rawValue) }
                            if let reader = role?.reader { list.append(reader.rawValue) }
                        }
                    }
                }
            }
        }
    }

    /// A body is shown up to here, and so is what stands beside it.
    private static let shownBytes = 16 << 10
    /// More than this is not kept of what may still turn out not to be wanted; what is wanted takes less.
    private static let mostHeld = 4 << 20

    func records(_ call: Call) async throws -> HTTPResponse {
        let questions = try call.questions(["partition", "offset", "time", "key", "limit", "unmasked"])
        let limit = try questions.number("limit", in: 1...100) ?? 50
        let isUnmasked = try call.isUnmasked(questions)
        let name = TopicName(call.subject)
        guard name.isValid else {
            throw Problem(404, "there is no topic \(String(call.subject.prefix(80)).debugDescription)")
        }
        let look = TopicLook(place.namespace.topic(name), try want(questions), limit: limit)
        if isUnmasked {
            try await place.index().noteUnmasked(DeadLetterFilter(), "topic \(name)", count: limit, who: call.user.name)
        }
        let personal = place.catalog.personal(in: place.namespace.topic(name))
        var (seen, heldBytes): ([SeenRecord], Int) = ([], 0)
        let extent: TopicLook.Extent
        do {
            extent = try await looks.run {
                try await look.run(place.admin, place.configuration.client) { record in
                    let one = SeenRecord(record, personal: personal, isUnmasked, limit: Self.shownBytes)
                    seen.append(one)
                    heldBytes += one.heldBytes
                    if seen.count >= 4 * limit + 400 || heldBytes > Self.mostHeld {
                        seen = look.best(of: seen)
                        heldBytes = seen.reduce(0) { $0 + $1.heldBytes }
                    }
                }
            }
        } catch let fault as TopicLook.Fault { throw Problem(404, fault.description) }
        let shown = look.best(of: seen)
        return .json { json in
            json.member("topic", name.rawValue)
            json.member("looked", extent.looked)
            json.member("more", extent.hasMore)
            json.array("records") { list in for record in shown { list.object { record.write(to: &$0) } } }
        }
    }

    private func want(_ questions: Questions) throws(Problem) -> TopicLook.Want {
        let partition = try questions.number("partition", in: 0...Int(Int32.max)).map { Partition(Int32(clamping: $0)) }
        let ways = ["offset", "time", "key"].filter { questions[$0] != nil }
        guard ways.count <= 1 else { throw Questions.fault(ways[1], "and \(ways[0]) exclude each other") }
        if let offset = try questions.number("offset", in: 0...Int.max) {
            guard let partition else {
                throw Questions.fault("partition", "is missing: an offset is one of a partition")
            }
            return .offset(partition, Offset(Int64(offset)))
        }
        if let text = questions["time"] {
            if let time = Timestamp(text: text) { return .time(max(0, time.milliseconds), partition) }
            guard let ago = Duration(text: text) else {
                throw Questions.fault("time", "is RFC 3339, or how long ago, as 90m or 7d")
            }
            return .time(max(0, Time.wallMilliseconds - ago.milliseconds), partition)
        }
        if let key = questions["key"] { return .key(Array(key.utf8), partition) }
        guard partition == nil else { throw Questions.fault("offset", "is missing: where in the partition?") }
        return .latest
    }
}

extension WantedTopic.Role {
    fileprivate var about: String? {
        switch self {
        case .source: nil
        case .retry(let family, let tier): "what \(family.handler) tries again after \(tier)"
        case .deadLetters(let family): "what \(family.handler) could not handle"
        case .replay(let family): "what is given back to \(family.handler)"
        }
    }

    /// Who reads a topic that no file of its own tells of.
    fileprivate var reader: HandlerName? {
        switch self {
        case .source: nil
        case .retry(let family, _), .replay(let family): family.handler
        case .deadLetters: .deadLetters
        }
    }
}

extension TopicCatalog {
    /// What is personal in a topic of this name, as the broker knows it: what its file says, or that of the topic whose
    /// retries, dead letters or replays it has. Nil when nobody says it, and then nobody can know: a name that begins like
    /// that of a family may be another one's.
    func personal(in name: TopicName) -> [String]? {
        guard let topic = wanted.first(where: { $0.name == name }) else { return nil }
        return self[topic.role.family?.source ?? namespace.plain(name) ?? name]?.pii
    }
}

/// A record as it is shown; no more of it is kept than that.
struct SeenRecord: Sendable {
    let timestamp: Int64
    let partition: Partition
    let offset: Offset
    private let place: [UInt8]
    private let body: ShownBody

    init(_ record: Record, personal: [String]?, _ isUnmasked: Bool, limit: Int) {
        (timestamp, partition, offset) = (record.timestamp ?? 0, record.partition, record.offset)
        var json = JSONWriter()
        json.object { record.writePlace(to: &$0) }
        // Keys and headers come from strangers, too.
        place = json.bytes.count > limit ? Array(#"{"too_large":true}"#.utf8) : json.bytes
        body = ShownBody(
            BodyView(record.valueBytes, personal: personal, unmasked: isUnmasked, limit: limit),
            bytes: record.value?.byteCount ?? 0, limit: limit)
    }

    /// How much memory it takes, or a little more.
    var heldBytes: Int { place.count + body.shownBytes + 256 }

    func write(to json: inout JSONWriter) {
        json.member("partition", partition.rawValue)
        json.member("offset", offset.rawValue)
        json.member("timestamp", timestamp)
        json.name("record")
        json.append(json: place)
        body.write(to: &json)
    }
}

/// A body as text for people: cut, and said what it is.
struct ShownBody: Sendable {
    private let kind: String
    private let text: String
    private let bytes: Int
    private let isCut: Bool

    var shownBytes: Int { text.utf8.count }

    init(_ view: BodyView, bytes: Int, limit: Int) {
        let whole: String
        switch view {
        case .json(let text): (kind, whole) = ("json", text)
        case .text(let text): (kind, whole) = ("text", text)
        case .binary(let dump, _): (kind, whole) = ("binary", dump)
        case .hidden(let why): (kind, whole) = ("hidden", why.words)
        case .none: (kind, whole) = ("none", "")
        }
        self.bytes = bytes
        isCut = whole.utf8.count > limit || kind == "binary" && bytes > BodyView.binaryLimit
        text = whole.utf8.count > limit ? String(decoding: whole.utf8.prefix(limit), as: UTF8.self) : whole
    }

    func write(to json: inout JSONWriter) {
        json.object("body") { json in
            json.member("kind", kind)
            json.member("text", text)
            json.member("bytes", bytes)
            json.member("cut", isCut)
        }
    }
}

extension TopicLook {
    /// As many as are wanted: by offset and time the first, else the latest first.
    fileprivate func best(of seen: [SeenRecord]) -> [SeenRecord] {
        func order(_ one: SeenRecord) -> (Int64, Partition, Offset) { (one.timestamp, one.partition, one.offset) }
        let sorted: [SeenRecord]
        switch want {
        case .offset: sorted = seen.sorted { $0.offset < $1.offset }
        case .time: sorted = seen.sorted { order($0) < order($1) }
        case .latest, .key: sorted = seen.sorted { order($0) > order($1) }
        }
        return Array(sorted.prefix(limit))
    }
}
