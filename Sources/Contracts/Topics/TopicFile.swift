internal import JSON
internal import Model
internal import Platform

/// One topic file: its topic, the path of its schema, and what is wrong with it.
struct TopicFile {
    var topic: Topic
    /// Relative to the folder of topic files.
    var schemaPath: String?
    private(set) var faults: [TopicFault] = []

    private static let keys = [
        "name", "about", "partitions", "replication", "retention", "maxMessageBytes", "key", "schema", "pii", "publish",
        "consumers",
    ]

    /// `file` is the path for faults, `stem` the file's name without `.yaml`.
    init(_ text: [UInt8], file: String, stem: String) {
        let notes = FieldReader.Notes(file: file)
        topic = Topic(TopicName(stem))
        do throws(YamlParser.Fault) {
            let node = try YamlParser.parse(text)
            read(FieldReader(node, path: "", known: Self.keys, notes: notes), node, stem)
        } catch {
            notes.refuse(error.place, error.reason)
        }
        topic.source = Topic.Source(file: file, places: notes.places)
        faults = notes.faults
    }

    private mutating func read(_ fields: FieldReader, _ node: YamlNode, _ stem: String) {
        if fields.node("name") == nil, notesNothing(fields, "name") {
            fields.notes.refuse(node.place, "name is missing: write name: \(stem)")
        }
        let name = fields.value("name", "lower-case letters, digits, dots and dashes, as the file's: \(stem)") {
            text, _ in
            text == stem && Self.isTopicName(text) ? text : nil
        }
        if let name { topic = Topic(TopicName(name)) }
        topic.about = fields.text("about") ?? ""
        if let partitions = fields.integer("partitions", 1...1000) { topic.partitions = partitions }
        topic.replication = fields.integer("replication", 1...32)
        if let retention = retention(fields) { topic.retention = retention }
        if let bytes = maxMessageBytes(fields) { topic.maxMessageBytes = bytes }
        topic.key = fields.text("key")
        schemaPath = fields.value("schema", "a path below the folder of the topic files, as schemas/\(stem).json") {
            path, _ in
            path.hasPrefix("/") || path.split(separator: "/").contains("..") || path.isEmpty ? nil : path
        }
        topic.pii = fields.list("pii", "JSON pointers, as /user_id") { JSONPointer.parse($0) == nil ? nil : $0 } ?? []
        topic.publish = publish(fields)
        for (position, element) in (fields.list("consumers") ?? []).enumerated() {
            if let policy = ConsumerReader(element, path: "consumers[\(position)].", fields.notes).policy {
                topic.consumers.append(policy)
            }
        }
    }

    private func notesNothing(_ fields: FieldReader, _ name: String) -> Bool {
        fields.notes.places[fields.path + name] == nil
    }

    static func isTopicName(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        let isEnd = { (byte: UInt8) in byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") }
        return !isEnd(first) && !isEnd(last)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case _: isEnd(byte)
                }
            }
    }

    private func retention(_ fields: FieldReader) -> Topic.Retention? {
        fields.value("retention", "a time of at least 1m, as 12h or 7d, or infinite") { text, _ in
            if text == "infinite" { return .infinite }
            return Duration(text: text).flatMap { $0 >= .seconds(60) ? .time($0) : nil }
        }
    }

    /// Derived topics need room for headers beyond it.
    private func maxMessageBytes(_ fields: FieldReader) -> Int? {
        let range = 1024...(WantedTopic.largestBytes - WantedTopic.headerBytes)
        return fields.value("maxMessageBytes", "a size from 1KiB to 15MiB, as 1048576 or 1MiB") { text, _ in
            ByteCount.parse(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    private func publish(_ fields: FieldReader) -> Topic.Publish {
        guard let node = fields.node("publish") else { return .no }
        switch node.content {
        case .map:
            let inner = FieldReader(node, path: "publish.", known: ["validate"], notes: fields.notes)
            return inner.flag("validate") == true ? .validated : .yes
        case .scalar, .list:
            let flag = fields.value("publish", "true, false or {validate: true}") { text, isPlain in
                isPlain && text == "true" ? true : isPlain && text == "false" ? false : nil
            }
            return flag == true ? .yes : .no
        }
    }
}
