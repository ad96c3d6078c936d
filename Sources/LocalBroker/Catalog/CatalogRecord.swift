/// A change of the catalog, as it stands in the journal.
enum CatalogRecord: Equatable {
    case cluster(id: String)
    /// A topic as it is from now on: made, grown, or with other settings.
    case topic(TopicEntry)
    case topicDeleted(name: String, id: UUID128)
    case producerIDs(end: Int64)
    case settings(BrokerSettings)
}

/// What the journal holds: changes of the catalog, and those of groups and their offsets, each in its owner's encoding.
enum JournalEntry {
    case catalog(CatalogRecord)
    case group(GroupRecord)

    /// The first byte of an entry says whose it is, and is the version of that encoding too.
    private enum Owner {
        static let catalog: UInt8 = 1
        static let group: UInt8 = 2
    }

    init(_ bytes: ArraySlice<UInt8>) throws(BrokerFault) {
        let content = bytes.dropFirst()
        switch bytes.first {
        case Owner.catalog:
            guard let record = CatalogRecord(content) else { throw Self.unreadable }
            self = .catalog(record)
        case Owner.group:
            guard let record = try? GroupRecord(bytes: Array(content)) else { throw Self.unreadable }
            self = .group(record)
        default: throw Self.unreadable
        }
    }

    var encoded: [UInt8] {
        switch self {
        case .catalog(let record): [Owner.catalog] + record.encoded
        case .group(let record): [Owner.group] + record.bytes
        }
    }

    private static let unreadable = BrokerFault(
        "the journal has an entry that this version cannot read: was the folder written by a newer flotilla?")
}

extension CatalogRecord {
    private enum Kind {
        static let cluster: UInt8 = 1
        static let topic: UInt8 = 2
        static let topicDeleted: UInt8 = 3
        static let producerIDs: UInt8 = 4
        static let settings: UInt8 = 5
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .cluster(let id):
            writer.put(Kind.cluster)
            writer.put(text: id)
        case .topic(let entry):
            writer.put(Kind.topic)
            writer.put(text: entry.name)
            writer.put(entry.id.high)
            writer.put(entry.id.low)
            writer.put(entry.partitions)
            let settings = entry.config.overrides.sorted { $0.key < $1.key }
            writer.put(UInt16(settings.count))
            for (name, value) in settings {
                writer.put(text: name)
                writer.put(text: value)
            }
        case .topicDeleted(let name, let id):
            writer.put(Kind.topicDeleted)
            writer.put(text: name)
            writer.put(id.high)
            writer.put(id.low)
        case .producerIDs(let end):
            writer.put(Kind.producerIDs)
            writer.put(end)
        case .settings(let settings):
            writer.put(Kind.settings)
            writer.put(settings.autoCreateTopics ? 1 : 0 as UInt8)
            writer.put(settings.defaultPartitions)
        }
        return writer.bytes
    }

    /// Nil for bytes that no version up to this one wrote.
    init?(_ bytes: ArraySlice<UInt8>) {
        var reader = ByteReader(bytes)
        switch reader.take(UInt8.self) {
        case Kind.cluster:
            guard let id = reader.takeText() else { return nil }
            self = .cluster(id: id)
        case Kind.topic:
            guard let name = reader.takeText(), let high = reader.take(UInt64.self),
                let low = reader.take(UInt64.self), let partitions = reader.take(Int32.self), partitions > 0,
                let count = reader.take(UInt16.self)
            else { return nil }
            var settings: [String: String] = [:]
            for _ in 0..<count {
                guard let name = reader.takeText(), let value = reader.takeText() else { return nil }
                settings[name] = value
            }
            guard let config = try? TopicConfig(settings) else { return nil }
            self = .topic(
                TopicEntry(name: name, id: UUID128(high: high, low: low), partitions: partitions, config: config))
        case Kind.topicDeleted:
            guard let name = reader.takeText(), let high = reader.take(UInt64.self), let low = reader.take(UInt64.self)
            else { return nil }
            self = .topicDeleted(name: name, id: UUID128(high: high, low: low))
        case Kind.producerIDs:
            guard let end = reader.take(Int64.self), end >= 0 else { return nil }
            self = .producerIDs(end: end)
        case Kind.settings:
            guard let create = reader.take(UInt8.self), let partitions = reader.take(Int32.self) else { return nil }
            var settings = BrokerSettings()
            guard settings.set(BrokerSettings.autoCreateName, to: create == 1 ? "true" : "false"),
                settings.set(BrokerSettings.partitionsName, to: "\(partitions)")
            else { return nil }
            self = .settings(settings)
        default: return nil
        }
    }
}

extension ByteWriter {
    /// A string of at most 64 KiB, which all of the catalog's are by far.
    mutating func put(text: String) {
        let bytes = Array(text.utf8.prefix(Int(UInt16.max)))
        put(UInt16(bytes.count))
        put(bytes)
    }
}

extension ByteReader {
    mutating func takeText() -> String? {
        guard let count = take(UInt16.self), let bytes = take(count: Int(count)) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
