/// An event: a record whose headers are a CloudEvents envelope. A view into its batch that costs no copy.
///
/// What the envelope says is read where it lies, so that an event nobody looks into costs next to nothing. The value
/// is whatever the producer sent; `Flotilla` adds JSON and `Codable` on top.
public struct Event: Sendable {
    /// The record as it came.
    public let record: Record
    private let envelope: Envelope

    /// Checks the envelope of a record. Throws what is wrong with it, in words for whoever sent it.
    public init(_ record: Record) throws(EnvelopeFault) {
        self.record = record
        envelope = try Envelope(record)
    }

    /// `ce_id`: with the source, what the event is known by.
    public var id: String { text(envelope.id) }
    /// `ce_source`: who sent it.
    public var source: String { text(envelope.source) }
    /// `ce_type`: what happened.
    public var type: String { text(envelope.type) }
    /// `ce_subject`: what it happened to, nil when the sender did not say.
    public var subject: String? { optionalText(envelope.subject) }
    /// `ce_time` as it was sent (RFC 3339), nil when it was not.
    public var timeText: String? { optionalText(envelope.time) }
    /// `ce_dataschema`: which schema the value keeps to, nil when none is named.
    public var schema: String? { optionalText(envelope.dataSchema) }
    /// `content-type`, nil when the sender did not say.
    public var contentType: String? { optionalText(envelope.contentType) }
    /// W3C's `traceparent`, nil when there is none.
    public var traceParent: String? { optionalText(envelope.traceParent) }

    /// Where the event's trace stands, nil when it has none that can be read.
    package var trace: TraceParent? {
        guard let text = traceParentBytes else { return nil }
        return TraceParent(text)
    }

    /// The bytes of `ce_id` and `ce_source`, where they lie.
    public var idBytes: RawSpan {
        @_lifetime(borrow self)
        get { header(envelope.id) }
    }
    public var sourceBytes: RawSpan {
        @_lifetime(borrow self)
        get { header(envelope.source) }
    }
    package var timeBytes: RawSpan? {
        @_lifetime(borrow self)
        get { envelope.time < 0 ? nil : header(envelope.time) }
    }
    package var subjectBytes: RawSpan? {
        @_lifetime(borrow self)
        get { envelope.subject < 0 ? nil : header(envelope.subject) }
    }
    package var traceParentBytes: RawSpan? {
        @_lifetime(borrow self)
        get { envelope.traceParent < 0 ? nil : header(envelope.traceParent) }
    }
    public var typeBytes: RawSpan {
        @_lifetime(borrow self)
        get { header(envelope.type) }
    }

    /// The value where it lies; empty for a tombstone.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            guard let value = record.value else { return RawSpan() }
            return unsafe _overrideLifetime(value, borrowing: self)
        }
    }

    public var isTombstone: Bool { record.isTombstone }

    /// The key as text, nil when there is none or it is not UTF-8.
    public var key: String? { record.keyBytes.flatMap { String(validating: $0, as: UTF8.self) } }

    public var topic: TopicName { record.topic }
    public var partition: Partition { record.partition }
    public var offset: Offset { record.offset }

    /// The value of a header as text, the last one's when there are several; nil when there is none.
    public func header(_ name: String) -> String? {
        guard case .some(.some(let bytes)) = record.lastHeader(name) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    @_lifetime(borrow self)
    private func header(_ index: Int16) -> RawSpan {
        guard index >= 0, let value = record.headerValue(at: Int(index)) else { return RawSpan() }
        return unsafe _overrideLifetime(value, borrowing: self)
    }

    private func text(_ index: Int16) -> String {
        let span = header(index)
        return unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    private func optionalText(_ index: Int16) -> String? { index < 0 ? nil : text(index) }
}

/// Why a record is no event.
public struct EnvelopeFault: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    package init(_ description: String) { self.description = description }
}
