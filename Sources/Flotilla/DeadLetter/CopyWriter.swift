package import Model
package import Platform

/// What the copies of a record say beside the record itself: who worked on it, and what went wrong.
package struct FailureReport: Hashable, Sendable {
    package var handler: HandlerName
    package var group: GroupID
    package var state: RetryState
    /// Calls of the handler by now.
    package var attempts: Int
    package var errorType: String
    package var errorMessage: String
    package var errorStack: String?
    package var now: Int64
    package var worker: String
    package var build: String
    /// The trace of the failing attempt.
    package var trace: String?

    package init(
        handler: HandlerName, group: GroupID, state: RetryState, attempts: Int, errorType: String, errorMessage: String,
        errorStack: String? = nil, now: Int64, worker: String, build: String, trace: String? = nil
    ) {
        self.handler = handler
        self.group = group
        self.state = state
        self.attempts = attempts
        self.errorType = errorType
        self.errorMessage = errorMessage
        self.errorStack = errorStack
        self.now = now
        self.worker = worker
        self.build = build
        self.trace = trace
    }

    /// What the same trouble has in common: the handler, the error's type, and its words without numbers and ids.
    package var fingerprint: String { Self.fingerprint(handler, errorType, errorMessage) }

    package static func fingerprint(_ handler: HandlerName, _ errorType: String, _ message: String) -> String {
        let words = ErrorText.withoutNumbers(message)
        return unsafe Digest.sha256(Array("\(handler)\u{0}\(errorType)\u{0}\(words)".utf8).span.bytes).hex(first: 8)
    }

    package var deadLetterID: UUIDValue { state.source.deadLetterID(for: handler) }
}

/// Copies of records for retry topics and dead letters: key, value and everybody's headers byte for byte, ours written
/// anew, one of each.
package enum CopyWriter {
    /// The copy that waits in a retry topic.
    package static func retry(
        of record: Record, to topic: TopicName, tier: String, due: Int64, countsAttempt: Bool, _ report: FailureReport
    ) -> OutgoingRecord {
        var headers = others(of: record, report)
        headers += [
            Header(HeaderName.retryAttempt, "\(countsAttempt ? report.attempts : max(0, report.attempts - 1))"),
            Header(HeaderName.retryTier, tier),
            Header(HeaderName.retryDue, "\(Timestamp(milliseconds: due))"),
            Header(HeaderName.retryFirstFailed, "\(Timestamp(milliseconds: report.state.firstFailed ?? report.now))"),
            Header(HeaderName.retryLastFailed, "\(Timestamp(milliseconds: report.now))"),
            Header(HeaderName.retryWorker, ErrorText.line(report.worker, bytes: 256)),
            Header(HeaderName.retryErrorType, ErrorText.line(report.errorType, bytes: 256)),
            Header(HeaderName.retryErrorMessage, ErrorText.line(report.errorMessage, bytes: 512)),
        ]
        headers += source(report) + replay(report)
        return OutgoingRecord(
            topic: topic, partition: record.partition, key: record.keyBytes, value: record.valueBytes, headers: headers,
            timestamp: report.now)
    }

    /// The dead letter, with as much as fits: whole, without the stack, without large foreign headers, at last without
    /// its body. It says so of the headers and the body, which are still where it came from. Nil when not even that fits.
    package static func deadLetter(
        of record: Record, to topic: TopicName, reason: DeadLetterReason, stage: String, maxBytes: Int,
        _ report: FailureReport
    ) -> OutgoingRecord? {
        for rung in Rung.allCases {
            let copy = deadLetter(of: record, to: topic, reason: reason, stage: stage, rung: rung, report)
            if copy.wireBytes <= maxBytes { return copy }
        }
        return nil
    }

    /// What is shed, one after the other.
    package enum Rung: Int, CaseIterable, Comparable, Sendable {
        case whole, withoutStack, withoutLargeHeaders, withoutBody

        package static func < (left: Rung, right: Rung) -> Bool { left.rawValue < right.rawValue }
    }

    package static func deadLetter(
        of record: Record, to topic: TopicName, reason: DeadLetterReason, stage: String, rung: Rung,
        _ report: FailureReport
    ) -> OutgoingRecord {
        let source = report.state.source
        var headers: [Header] = [
            Header(HeaderName.dlqTopic, source.topic.rawValue),
            Header(HeaderName.dlqPartition, "\(source.partition)"),
            Header(HeaderName.dlqOffset, "\(source.offset)"),
            Header(HeaderName.dlqGroup, report.group.rawValue),
            Header(HeaderName.dlqDeliveryCount, "\(report.attempts)"),
            Header(HeaderName.dlqMessage, ErrorText.line(report.errorMessage, bytes: 1024)),
            Header(HeaderName.dlqID, report.deadLetterID.description),
            Header(HeaderName.dlqReason, reason.rawValue),
            Header(HeaderName.dlqErrorType, ErrorText.line(report.errorType, bytes: 256)),
            Header(HeaderName.dlqFingerprint, report.fingerprint),
            Header(HeaderName.dlqAt, "\(Timestamp(milliseconds: report.now))"),
            Header(HeaderName.dlqFirstFailed, "\(Timestamp(milliseconds: report.state.firstFailed ?? report.now))"),
            Header(HeaderName.dlqStage, stage),
            Header(HeaderName.dlqWorker, ErrorText.line(report.worker, bytes: 256)),
            Header(HeaderName.dlqBuild, ErrorText.line(report.build, bytes: 256)),
        ]
        if rung < .withoutStack, let stack = report.errorStack {
            headers.append(Header(HeaderName.dlqErrorStack, ErrorText.text(stack, bytes: 8192)))
        }
        if let trace = report.trace { headers.append(Header(HeaderName.dlqTrace, ErrorText.line(trace, bytes: 64))) }
        headers += self.source(report) + replay(report)
        var value = record.valueBytes
        if rung >= .withoutBody, let body = value {
            unsafe headers += [
                Header(HeaderName.dlqBody, "omitted"),
                Header(HeaderName.dlqBodySHA256, Digest.sha256(body.span.bytes).hex()),
                Header(HeaderName.dlqBodyBytes, "\(body.count)"),
            ]
            value = nil
        }
        let everybodys = others(of: record, report)
        let foreign = everybodys.filter { rung < .withoutLargeHeaders || !$0.maySlipAway }
        if foreign.count < everybodys.count { headers.append(Header(HeaderName.dlqHeaders, "omitted")) }
        return OutgoingRecord(
            topic: topic, partition: record.partition, key: record.keyBytes, value: value, headers: foreign + headers,
            timestamp: report.now)
    }

    /// A record that has no trace goes on in that of its first attempt, so that all of them are in one.
    private static func others(of record: Record, _ report: FailureReport) -> [Header] {
        let others = record.headers.filter { !HeaderName.isOurs($0.name) }
        guard let trace = report.trace, !others.contains(where: { $0.name == "traceparent" }) else { return others }
        return others + [Header("traceparent", trace)]
    }

    private static func source(_ report: FailureReport) -> [Header] {
        let source = report.state.source
        var headers = [
            Header(HeaderName.sourceTopic, source.topic.rawValue),
            Header(HeaderName.sourcePartition, "\(source.partition)"),
            Header(HeaderName.sourceOffset, "\(source.offset)"),
        ]
        if let timestamp = source.timestamp {
            headers.append(Header(HeaderName.sourceTimestamp, "\(Timestamp(milliseconds: timestamp))"))
        }
        headers.append(Header(HeaderName.sourceGroup, report.group.rawValue))
        headers.append(Header(HeaderName.sourceHandler, report.handler.rawValue))
        return headers
    }

    /// What a replay brought along stays with the record until its outcome is told.
    private static func replay(_ report: FailureReport) -> [Header] {
        guard report.state.replays > 0 || report.state.replayJob != nil else { return [] }
        var headers = [Header(HeaderName.dlqReplays, "\(report.state.replays)")]
        if let job = report.state.replayJob { headers.append(Header(HeaderName.dlqReplayJob, job)) }
        return headers
    }
}

extension Header {
    /// Whether a dead letter that is too large may do without it: large, and neither the event's own nor its trace.
    fileprivate var maySlipAway: Bool {
        let kept = ["ce_", "content-type", "trace", "baggage"]
        return (value?.count ?? 0) > 4096 && !kept.contains { name.hasPrefix($0) }
    }
}

extension OutgoingRecord {
    /// About what the record takes on its way: its bytes, and a few for the lengths and times around them.
    package var wireBytes: Int {
        headers.reduce(64 + (key?.count ?? 0) + (value?.count ?? 0)) {
            $0 + $1.name.utf8.count + ($1.value?.count ?? 0) + 10
        }
    }
}
