internal import JSON
public import Model
internal import Platform

/// An event to be published: what a handler returns.
///
/// Its id is derived from what it follows from, so that a handler that runs again publishes the same event again and
/// whoever reads it can tell.
public struct Outgoing: Sendable {
    package let topic: TopicName
    package let cause: Cause
    package var type: String
    package var key: Key
    package var subject: Attribute
    package var time: Attribute
    package var schema: String?
    package var contentType: String
    /// The trace that it belongs to, where that is not the cause's.
    package var trace: TraceParent?
    package let value: [UInt8]

    package enum Cause: Sendable {
        case event(Event)
        case named(String, revision: Int)
    }

    package enum Key: Sendable {
        case ofCause
        case bytes([UInt8])
        case none
    }

    /// An attribute that the cause may have too: it is copied from there, with no string in between.
    package enum Attribute: Sendable {
        case ofCause
        case text(String?)
    }

    /// An event that follows from `cause`. Key and subject are those of the cause, unless they are given.
    ///
    /// - Parameters:
    ///   - type: `ce_type`; by default that of the cause.
    ///   - json: the value, as JSON text.
    public init(
        to topic: TopicName, from cause: Event, type: String? = nil, key: String? = nil, json: [UInt8]
    ) {
        self.topic = topic
        self.cause = .event(cause)
        self.type = type ?? cause.type
        self.key = key.map { .bytes(Array($0.utf8)) } ?? .ofCause
        (subject, time) = (.ofCause, .ofCause)
        contentType = Self.json
        value = json
    }

    /// An event that follows from `cause`, its value encoded as JSON.
    public init(
        to topic: TopicName, from cause: Event, type: String? = nil, key: String? = nil, _ value: some Encodable
    ) throws {
        try self.init(to: topic, from: cause, type: type, key: key, json: value.jsonBytes())
    }

    /// An event that follows from no other: a window that closed, a timer that fired. `name` says what it is, and with
    /// `revision` it must be the same whenever the same thing happens again.
    public init(
        to topic: TopicName, named name: String, revision: Int = 0, type: String, key: String?, json: [UInt8]
    ) {
        self.topic = topic
        cause = .named(name, revision: revision)
        self.type = type
        self.key = key.map { .bytes(Array($0.utf8)) } ?? .none
        (subject, time) = (.text(key), .text(nil))
        contentType = Self.json
        value = json
    }

    private static let json = "application/json"

    /// The same with another `ce_subject`.
    public func about(_ subject: String?) -> Outgoing { with { $0.subject = .text(subject) } }

    /// The same with another `ce_time`, RFC 3339.
    public func at(_ time: String?) -> Outgoing { with { $0.time = .text(time) } }

    /// The same with the schema that its value keeps to.
    public func keeping(to schema: String) -> Outgoing { with { $0.schema = schema } }

    /// The same with another `content-type`.
    public func of(contentType: String) -> Outgoing { with { $0.contentType = contentType } }

    /// The same as a part of another trace than its cause's: of the `traceparent` that something was kept with. What is
    /// none is passed over.
    public func continuing(traceParent: String?) -> Outgoing {
        guard let trace = traceParent.flatMap({ TraceParent($0) }) else { return self }
        return with { $0.trace = trace }
    }

    private func with(_ change: (inout Outgoing) -> Void) -> Outgoing {
        var changed = self
        change(&changed)
        return changed
    }
}
