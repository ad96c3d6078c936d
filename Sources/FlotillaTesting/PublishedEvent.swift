internal import JSON
public import Model

/// An event that a handler published, for looking at.
public struct PublishedEvent: Hashable, Sendable, CustomStringConvertible {
    public let topic: TopicName
    public let key: String?
    public let id: String
    public let type: String
    public let subject: String?
    /// The value as text.
    public let json: String
    /// The whole envelope, and what else it carries.
    public let headers: [Header]

    init(_ record: OutgoingRecord) {
        func header(_ name: String) -> String? { record.headers.last { $0.name == name }?.text }
        topic = record.topic
        key = record.key.map { String(decoding: $0, as: UTF8.self) }
        id = header("ce_id") ?? ""
        type = header("ce_type") ?? ""
        subject = header("ce_subject")
        json = String(decoding: record.value ?? [], as: UTF8.self)
        headers = record.headers
    }

    /// The value as a type of one's own.
    public func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        unsafe try JSONDocument(parsing: Array(json.utf8).span.bytes).root.decode(type)
    }

    public var description: String { "\(type) to \(topic), key \(key ?? "none"): \(json)" }
}

/// A record that the handler could not take, as it lies in the dead-letter topic.
public struct DeadLetter: Hashable, Sendable, CustomStringConvertible {
    /// `permanent`, `exhausted`, `undecodable`, `timeout` …: as its header says it.
    public let reason: String
    /// What the handler said, or what was wrong.
    public let message: String
    /// How often the handler was called for it.
    public let attempts: Int
    /// The id of the event, nil when it is none.
    public let id: String?
    /// Key and value, byte for byte as they came.
    public let key: [UInt8]?
    public let value: [UInt8]?
    public let headers: [Header]

    init(_ record: Record) {
        let headers = record.headers
        func header(_ name: String) -> String? { headers.last { $0.name == name }?.text }
        reason = header("dlq-reason") ?? ""
        message = header("__dlq.errors.message") ?? ""
        attempts = header("__dlq.errors.delivery.count").flatMap(Int.init) ?? 0
        id = header("ce_id")
        key = record.keyBytes
        value = record.valueBytes
        self.headers = headers
    }

    public var description: String { "\(id ?? "no event"), \(reason) after \(attempts) calls: \(message)" }
}
