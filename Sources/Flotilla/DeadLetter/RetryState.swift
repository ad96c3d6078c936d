internal import Contracts
package import Model
package import Platform

/// What a record's headers say of its way so far.
///
/// Only topics that we alone write are believed: whoever publishes to a source topic could write these headers too, and
/// would have its record counted as another one. What is missing or damaged there is as if it were the first time.
package struct RetryState: Hashable, Sendable {
    /// Where the record was first, whatever topic this copy lies in.
    package var source: SourceCoordinates
    /// Calls of the handler so far.
    package var attempts = 0
    package var firstFailed: Int64?
    /// Not to be handled before this time.
    package var due: Int64?
    package var replays: UInt32 = 0
    package var replayJob: String?
    /// It was handled, and is read again: what it did to a handler's state is in.
    package var isRewound = false

    package init(_ record: Record, role: TopicRole) {
        // One that does not say where it was first is known by where it lies: by another place it would be taken for the
        // record there.
        source = SourceCoordinates(
            topic: role.topic, partition: record.partition, offset: record.offset, timestamp: record.timestamp)
        guard role.kind != .source else { return }
        var found: [String: String] = [:]
        for index in 0..<record.headerCount {
            let name = record.headerName(at: index)
            guard HeaderName.isOurs(name), let value = record.headerValue(at: index), value.byteCount <= 1024 else {
                continue
            }
            found[name] = String(validating: value.copied, as: UTF8.self)
        }
        if let first = SourceCoordinates(found, of: role.family) { source = first }
        attempts = found[HeaderName.retryAttempt].flatMap(Int.init).map { min(max($0, 0), 1_000_000) } ?? 0
        firstFailed = found[HeaderName.retryFirstFailed].flatMap(Timestamp.init(text:))?.milliseconds
        replays = found[HeaderName.dlqReplays].flatMap(UInt32.init) ?? 0
        replayJob = found[HeaderName.dlqReplayJob]
        isRewound = found[HeaderName.dlqRewind] != nil
        if case .retry(let tier) = role.kind {
            // Never later than its tier says from when it was written, whatever the header wants.
            let written = record.timestamp ?? 0
            let latest = written &+ tier.delay.milliseconds
            due = min(found[HeaderName.retryDue].flatMap(Timestamp.init(text:))?.milliseconds ?? latest, latest)
        }
    }
}

/// Where a record was first: what it is known by for the rest of its way.
package struct SourceCoordinates: Hashable, Sendable {
    package let topic: TopicName
    package let partition: Partition
    package let offset: Offset
    package let timestamp: Int64?

    package init(topic: TopicName, partition: Partition, offset: Offset, timestamp: Int64? = nil) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
    }

    /// What a copy's headers say, where they are of this family; nil when they say it not, or of something else.
    package init?(_ headers: [String: String], of family: TopicFamily) {
        let topic = headers[HeaderName.sourceTopic].map { TopicName($0) } ?? family.source
        guard family.has(topic), let partition = headers[HeaderName.sourcePartition].flatMap(Int32.init),
            partition >= 0,
            let offset = headers[HeaderName.sourceOffset].flatMap(Int64.init), offset >= 0
        else { return nil }
        self.init(
            topic: topic, partition: Partition(partition), offset: Offset(offset),
            timestamp: headers[HeaderName.sourceTimestamp].flatMap(Timestamp.init(text:))
                .map { max(0, $0.milliseconds) })
    }

    /// A dead letter's name: the same however often it is written, and however often it comes back.
    package func deadLetterID(for handler: HandlerName) -> UUIDValue {
        let name = "dlq\u{0}\(handler)\u{0}\(topic)\u{0}\(partition)\u{0}\(offset)"
        return UUIDValue.version5(in: .flotillaEvents, Array(name.utf8))
    }
}
