import Foundation
import Kafka

/// The fields of a command, asked for by name and type.
struct Arguments {
    let fields: [String: Any]

    /// A command that is not what it should be.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ fields: [String: Any]) { self.fields = fields }

    init(line: String) throws {
        guard let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw Malformed(description: "a command is an object")
        }
        self.fields = fields
    }

    func get<Value>(_ name: String, _ type: Value.Type = Value.self) throws -> Value {
        guard let value = fields[name] as? Value else {
            throw Malformed(description: "\(name): missing, or no \(Value.self)")
        }
        return value
    }

    func optional<Value>(_ name: String, _ type: Value.Type = Value.self) -> Value? { fields[name] as? Value }

    /// A nested object, empty when it is missing.
    func object(_ name: String) -> Arguments { Arguments(optional(name) ?? [:]) }

    func objects(_ name: String) throws -> [Arguments] { try get(name, [[String: Any]].self).map(Arguments.init) }

    func bytes(_ name: String) throws -> [UInt8]? { try Self.bytes(fields[name]) }

    /// Bytes in base64; null and missing are null.
    static func bytes(_ value: Any?) throws -> [UInt8]? {
        guard let text = value as? String else { return nil }
        guard let data = Data(base64Encoded: text) else { throw Malformed(description: "\(text): no base64") }
        return Array(data)
    }

    func topics(_ name: String) throws -> [TopicName] { try get(name, [String].self).map { TopicName($0) } }

    /// The place that `topic` and `partition` name.
    func place() throws -> TopicPartition {
        TopicPartition(
            TopicName(try get("topic", String.self)), Partition(Int32(clamping: try get("partition", Int.self))))
    }

    /// A list of [topic, partition, …] as places with the rest of each row.
    func rows(_ name: String) throws -> [(place: TopicPartition, rest: ArraySlice<Any>)] {
        try get(name, [[Any]].self).map { row in
            guard row.count >= 2, let topic = row[0] as? String, let partition = row[1] as? Int else {
                throw Malformed(description: "\(name): a row is [topic, partition, …]")
            }
            return (TopicPartition(TopicName(topic), Partition(Int32(clamping: partition))), row.dropFirst(2))
        }
    }

    func places(_ name: String) throws -> [TopicPartition] { try rows(name).map(\.place) }
}

extension Consumer.StartingPoint {
    /// As Kafka's protocol says it: -2 earliest, -1 latest, any other number below zero where the group stopped.
    init(_ number: Int) {
        self =
            switch number {
            case -2: .earliest
            case -1: .latest
            case ..<0: .committed
            case _: .offset(Offset(Int64(number)))
            }
    }
}

extension KafkaFault {
    var json: [String: Any] {
        ["code": Int(code.rawValue), "retriable": isRetriable, "fatal": isFatal, "message": description]
    }
}

extension TopicPartition {
    var json: [Any] { [topic.rawValue, Int(partition.rawValue)] }
}

extension PartitionOffset {
    var json: [Any] { place.json + [Int(offset.rawValue), metadata ?? NSNull()] }
}

/// Bytes in base64, or null.
func json(_ bytes: [UInt8]?) -> Any {
    bytes.map { Data($0).base64EncodedString() } ?? NSNull()
}
